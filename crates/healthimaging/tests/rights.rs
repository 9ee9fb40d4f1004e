//! Rights: what a restricted back end lets through.

use healthimaging::{Effect, Error, ErrorKind, Limit, Rights};

fn limit(most: Effect) -> Limit {
    Limit::new(most, format!("only {}", most.as_str()))
}

#[test]
fn the_smallest_limit_counts_and_gives_the_reason() {
    let rights = Rights::unlimited();
    assert!(rights.is_unlimited() && rights.check_effect(Effect::Destroys).is_ok());
    let rights =
        rights.and(limit(Effect::Writes)).and_all(&Rights::unlimited().and(limit(Effect::Reads)));
    assert_eq!(rights.most(), Effect::Reads);
    assert!(rights.check_effect(Effect::Reads).is_ok());
    for (effect, said) in [(Effect::Writes, "only reads"), (Effect::Destroys, "only writes")] {
        let error = rights.check_effect(effect).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::AccessDenied, said));
    }
}

#[test]
fn a_data_store_must_be_in_every_limit_and_in_no_exception() {
    let id = "0123456789abcdef0123456789abcdef".try_into().map_err(|error: Error| error).unwrap();
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let rights = |only: &[&str], except: &[&str]| {
        let allowing = limit(Effect::Destroys).only(own(only));
        Rights::unlimited().and(allowing).and(limit(Effect::Destroys).except(own(except)))
    };
    for (only, except, is_admitted) in [
        (&["main"][..], &[][..], true),
        (&["0123456789abcdef0123456789abcdef"], &[], true),
        (&["other"], &[], false),
        (&["main"], &["main"], false),
        (&["main"], &["0123456789abcdef0123456789abcdef"], false),
        (&["main"], &["other"], true),
        (&[], &[], false),
    ] {
        let rights = rights(only, except);
        assert_eq!(rights.admits(&id, "main"), is_admitted, "{only:?} {except:?}");
        assert!(rights.limits_datastores());
    }
}
