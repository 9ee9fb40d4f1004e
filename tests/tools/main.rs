//! Every tool, called as an assistant calls it, on real data, on every back end.
//!
//! A case is a plain function over a [`rig::Rig`]; [`cases!`] lists each once. A back end joins by a
//! function that opens it and one more line at the end of this file.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says that something is wrong by panicking"
)]

mod rig;
mod search;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_workflows::BackEnd;

use rig::Opening;

/// One test a case, on a back end: its name, and how it is opened.
macro_rules! cases {
    ($back_end:ident, $open:path) => {
        cases! { @list $back_end, $open;
            search {
                everything_is_found_without_criteria,
            }
        }
    };
    (@list $back_end:ident, $open:path; $($subject:ident { $($case:ident),* $(,)? })*) => {
        mod $back_end {
            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let rig = crate::rig::Rig::new($open).await;
                    crate::$subject::$case(rig).await;
                })*
            })*
        }
    };
}

fn open_local(opening: Opening) -> BoxFuture<'static, BackEnd> {
    async move {
        let mut config = LocalConfig::new(opening.data_dir);
        config.allowed_paths = vec![opening.allowed];
        let store = LocalStore::open(config).await.unwrap();
        BackEnd {
            service: store.clone(),
            dicomweb: store,
        }
    }
    .boxed()
}

cases!(local, crate::open_local);
