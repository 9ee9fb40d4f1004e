//! An S3 that keeps every request waiting until it is let go, and then refuses it.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) struct HeldS3 {
    pub(crate) address: String,
    go: watch::Sender<bool>,
    asked: watch::Receiver<bool>,
}

impl HeldS3 {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (go, gone) = watch::channel(false);
        let (ask, asked) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                ask.send_replace(true);
                tokio::spawn(refuse(client, gone.clone()));
            }
        });
        Self { address, go, asked }
    }

    /// Waits for the first request.
    pub(crate) async fn is_asked(&self) {
        let mut asked = self.asked.clone();
        let waited = tokio::time::timeout(PATIENCE, asked.wait_for(|asked| *asked)).await;
        waited.unwrap().unwrap();
    }

    /// Answers all that wait, and all that come.
    pub(crate) fn let_go(&self) {
        self.go.send_replace(true);
    }
}

async fn refuse(mut client: TcpStream, mut gone: watch::Receiver<bool>) {
    let waited = tokio::time::timeout(PATIENCE, gone.wait_for(|gone| *gone)).await;
    waited.unwrap().unwrap();
    let answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    // The client may have given up.
    let _ = client.write_all(answer).await;
    let _ = client.shutdown().await;
    let _ = client.read_to_end(&mut Vec::new()).await;
}
