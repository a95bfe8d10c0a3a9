//! More connections than can be served, all at once.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;

/// Connections that come.
const FLOOD: usize = 10_000;
/// Connections that may be open at the same time: those that have a place, and those turned away.
const FEW: usize = 300;

/// A peer that has gone already.
struct Gone {
    stream: UnixStream,
    open: Arc<AtomicUsize>,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Gone {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Gone {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Another connection is always ready, until all have come.
#[derive(Clone, Default)]
struct Flood {
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    over: Arc<Notify>,
}

impl Transport for Flood {
    type Io = Gone;

    const NAME: &'static str = "flood of a test";

    async fn accept(&self) -> io::Result<Gone> {
        if self.accepted.fetch_add(1, Ordering::Relaxed) >= FLOOD {
            self.over.notify_one();
            return std::future::pending().await;
        }
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(open, Ordering::Relaxed);
        let (stream, _gone) = UnixStream::pair()?;
        Ok(Gone {
            stream,
            open: Arc::clone(&self.open),
        })
    }

    fn identify(&self, _: &Gone) -> Identity {
        Identity::Asked(Origin::Unix { uid: 7 })
    }

    fn look_up(
        &self,
        io: Gone,
    ) -> impl Future<Output = Option<(Gone, Principal)>> + Send + 'static {
        let principal = Principal::without_rights(Origin::Unix { uid: 7 });
        std::future::ready(Some((io, principal)))
    }
}

#[test]
fn a_flood_does_not_pile_up_connections() {
    let runtime = Runtime::new().unwrap();
    let flood = Flood::default();
    let over = Arc::clone(&flood.over);
    let server = serve(
        flood.clone(),
        Bounds::API,
        Router::new(),
        Arc::default(),
        async move { over.notified().await },
    );
    runtime.block_on(async { timeout(PATIENCE, server).await.unwrap() });
    let most = flood.most.load(Ordering::Relaxed);
    assert!(most <= FEW, "{most} connections were open at once");
}
