//! Selections of tools: sets, names, and what a client sees of them.

use std::collections::BTreeSet;

use healthimaging_testing::Fake;
use healthimaging_tools::{Consent, Effect, Offer, Schemas, Selection, ServerOptions, Toolset};
use serde_json::json;

use crate::protocol::{Connection, Era, TestClient, User, connect_to};

fn words(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn selection(toolsets: &[&str], tools: &[&str], excluded: &[&str]) -> Selection {
    Selection::new(&words(toolsets), &words(tools), &words(excluded)).unwrap()
}

/// Names of what a server with these options offers.
fn offered(offer: Offer, selection: Selection) -> BTreeSet<&'static str> {
    let options = ServerOptions { offer, selection, ..ServerOptions::default() };
    options.tools().map(|tool| tool.name).collect()
}

async fn connected(options: ServerOptions) -> Connection {
    let server = Fake::default().server_of(options);
    connect_to(server, Era::Old, TestClient::new(User::CannotBeAsked)).await
}

#[test]
fn each_tool_is_in_exactly_one_set() {
    let all = offered(Offer::All, Selection::default());
    let mut seen = BTreeSet::new();
    for toolset in Toolset::ALL {
        let Ok(selection) = Selection::new(&words(&[toolset.as_str()]), &[], &[]) else {
            continue;
        };
        for name in offered(Offer::All, selection) {
            assert!(seen.insert(name), "{name} is in two sets");
        }
    }
    assert_eq!(seen, all);
    assert_eq!(offered(Offer::All, selection(&["all"], &[], &[])), all);
    let names: BTreeSet<&str> = Toolset::ALL.into_iter().map(Toolset::as_str).collect();
    assert_eq!(names.len(), Toolset::ALL.len());
}

#[test]
fn names_add_to_sets_and_exclusions_win() {
    let of = |toolsets: &[&str], tools: &[&str], excluded: &[&str]| {
        offered(Offer::All, selection(toolsets, tools, excluded))
    };
    assert_eq!(of(&["jobs"], &[], &[]), BTreeSet::from(["cancel_job", "get_job", "list_jobs"]));
    assert_eq!(of(&[], &["get_job"], &[]), BTreeSet::from(["get_job"]));
    assert_eq!(
        of(&["jobs"], &["tag_resource", "get_job"], &["list_jobs", "get_image_set"]),
        BTreeSet::from(["cancel_job", "get_job", "tag_resource"])
    );
    let all = offered(Offer::All, Selection::default());
    let most = of(&[], &[], &["list_jobs"]);
    assert!(!most.contains("list_jobs") && most.len() == all.len() - 1);
    assert!(of(&["core", "erase"], &[], &[]).contains("delete_study"));
}

#[test]
fn effects_win_over_selections() {
    let chosen = || selection(&["correct"], &["get_job", "delete_study"], &[]);
    assert_eq!(offered(Offer::ReadOnly, chosen()), BTreeSet::from(["get_job"]));
    let kept = offered(Offer::NoDelete, chosen());
    assert!(kept.contains("reassign_study") && !kept.contains("delete_study"), "{kept:?}");
}

#[test]
fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
    let refused = |toolsets: &[&str], tools: &[&str], excluded: &[&str]| {
        let refused = Selection::new(&words(toolsets), &words(tools), &words(excluded));
        refused.unwrap_err().message().to_owned()
    };
    let message = refused(&["search", "pictures"], &[], &[]);
    assert!(message.starts_with("--toolsets has an unknown name"), "{message}");
    for name in ["core", "all"].into_iter().chain(Toolset::ALL.map(Toolset::as_str)) {
        assert!(message.contains(name), "{message}");
    }
    let message = refused(&[], &["Get_Job"], &[]);
    assert!(message.starts_with("--tools ") && message.contains("get_job"), "{message}");
    let message = refused(&[], &[], &["delete_everything"]);
    assert!(message.starts_with("--exclude-tools ") && message.contains("delete_study"));
    assert!(refused(&[], &["get_job"], &["get_job"]).contains("leave no tool"));
}

#[tokio::test]
async fn what_is_not_selected_is_neither_listed_nor_called() {
    let options =
        ServerOptions { selection: selection(&["search"], &[], &[]), ..ServerOptions::default() };
    let server = Fake::default().server_of(options.clone());
    let error = server
        .call("get_job", healthimaging_tools::Arguments::new(), Consent::Given)
        .await
        .unwrap_err();
    assert!(error.message().contains("--toolsets"), "{}", error.message());
    let listed = connected(options).await.list_all_tools().await.unwrap();
    let names: Vec<&str> = listed.iter().map(|tool| &*tool.name).collect();
    assert!(names.contains(&"search_image_sets") && !names.contains(&"get_job"), "{names:?}");
}

#[tokio::test]
async fn core_is_small() {
    const MOST: usize = 15;
    const BYTES: usize = 12_500;
    let options =
        ServerOptions { selection: selection(&["core"], &[], &[]), ..ServerOptions::default() };
    let list = connected(options).await.list_tools(None).await.unwrap();
    let bytes = serde_json::to_string(&list).unwrap().len();
    println!("core: {} tools, {bytes} bytes", list.tools.len());
    assert!(list.tools.len() <= MOST && bytes <= BYTES, "{} {bytes}", list.tools.len());
}

#[tokio::test]
async fn lean_lists_have_no_schemas_of_answers() {
    let full = connected(ServerOptions::default()).await.list_all_tools().await.unwrap();
    let options = ServerOptions { schemas: Schemas::Lean, ..ServerOptions::default() };
    let lean = connected(options).await.list_all_tools().await.unwrap();
    assert!(full.iter().any(|tool| tool.output_schema.is_some()));
    let expected: Vec<_> = full
        .into_iter()
        .map(|mut tool| {
            tool.output_schema = None;
            tool
        })
        .collect();
    assert_eq!(json!(lean), json!(expected));
}

#[tokio::test]
async fn six_tools_are_loaded_at_the_start_and_the_server_has_an_icon() {
    let client = connected(ServerOptions::default()).await;
    let info = client.peer_info().unwrap().server_info.clone();
    let icon = &info.unwrap().icons.unwrap()[0];
    assert!(icon.src.starts_with("data:image/svg+xml;base64,"), "{}", icon.src);
    let listed = client.list_all_tools().await.unwrap();
    let mut always = 0;
    for tool in &listed {
        assert!(tool.icons.is_none(), "{}", tool.name);
        let meta = tool.meta.as_ref().and_then(|meta| meta.get("anthropic/alwaysLoad"));
        if let Some(value) = meta {
            assert_eq!(*value, json!(true));
            always += 1;
        }
    }
    assert_eq!(always, 6);
    let core = offered(Offer::All, selection(&["core"], &[], &[]));
    let first = Offer::All.tools().filter(|tool| tool.is_always_loaded);
    assert!(first.into_iter().all(|tool| core.contains(tool.name)));
}

#[tokio::test]
async fn the_instructions_name_only_tools_that_are_offered() {
    let all: Vec<_> = Offer::All.tools().collect();
    let mut selections = vec![Selection::default(), selection(&["core"], &[], &[])];
    selections.extend(
        Toolset::ALL
            .into_iter()
            .filter_map(|toolset| Selection::new(&words(&[toolset.as_str()]), &[], &[]).ok()),
    );
    let mut texts = BTreeSet::new();
    for selection in selections {
        for offer in [Offer::All, Offer::NoDelete, Offer::ReadOnly] {
            let names = offered(offer, selection.clone());
            let options =
                ServerOptions { offer, selection: selection.clone(), ..ServerOptions::default() };
            let text = connected(options).await.peer_info().unwrap().instructions.clone().unwrap();
            for tool in &all {
                let is_named = text
                    .split(|letter: char| !letter.is_ascii_lowercase() && letter != '_')
                    .any(|word| word == tool.name);
                assert!(!is_named || names.contains(tool.name), "{}: {text}", tool.name);
            }
            let deletes =
                all.iter().any(|tool| names.contains(tool.name) && tool.effect == Effect::Destroys);
            assert_eq!(text.contains("except for deletions"), deletes, "{text}");
            texts.insert(text);
        }
    }
    assert!(texts.len() > 3, "{texts:#?}");
}
