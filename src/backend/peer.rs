//! The other back end, which transfers use beside that of this process.

use healthimaging_audit::AuditLog;
use healthimaging_workflows::Peers;

use crate::config::Config;

/// Returns the other back end, which is opened at first use.
#[cfg(all(feature = "local", feature = "aws"))]
pub(super) fn peers(config: &Config, audit: &AuditLog) -> Peers {
    both::peers(config, audit)
}

#[cfg(not(all(feature = "local", feature = "aws")))]
pub(super) fn peers(_: &Config, _: &AuditLog) -> Peers {
    Peers::default()
}

#[cfg(all(feature = "local", feature = "aws"))]
mod both {
    use async_trait::async_trait;
    use healthimaging::{Error, Result};
    use healthimaging_audit::AuditLog;
    use healthimaging_workflows::{BackEnd, OpenPeer, Peer, Peers, Side};

    use super::super::{Opened, audited, embedded, guarded, opened};
    use crate::config::Config;
    use crate::decoding;
    use crate::options::BackendKind;

    /// The configuration of this process, with the other back end.
    #[derive(Debug)]
    struct Other(Config, AuditLog);

    pub(super) fn peers(config: &Config, audit: &AuditLog) -> Peers {
        let (own, other) = match config.backend {
            BackendKind::Local => (Side::Local, BackendKind::Aws),
            BackendKind::Aws => (Side::Aws, BackendKind::Local),
        };
        let config = Config { backend: other, ..config.clone() };
        Peers::new(own, Box::new(Other(config, audit.clone())))
    }

    #[async_trait]
    impl OpenPeer for Other {
        async fn open(&self) -> Result<Peer> {
            let Self(config, audit) = self;
            let opened = async {
                if config.backend == BackendKind::Local {
                    embedded::check_exists(config)?;
                }
                opened(config, &decoding::decoder()?).await
            };
            let Opened { handle, traits, .. } = opened.await.map_err(|error| {
                Error::validation(format!("the other back end does not open: {error:#}"))
            })?;
            let key = handle.key();
            let (service, dicomweb) = audited(audit, guarded(config, traits));
            Ok(Peer { key, back_end: BackEnd { service, dicomweb } })
        }
    }
}
