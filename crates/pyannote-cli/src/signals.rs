pub use self::imp::Signals;

#[cfg(unix)]
mod imp {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// The signals that ask the server to stop.
    pub struct Signals {
        terminate: Signal,
        interrupt: Signal,
    }

    impl Signals {
        pub fn new() -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            })
        }

        pub async fn next(&mut self) -> &'static str {
            tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            }
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::{future, io};

    use tokio::signal;

    /// The signals that ask the server to stop.
    pub struct Signals;

    impl Signals {
        #[expect(clippy::unnecessary_wraps, reason = "as its twin for unix")]
        pub fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub async fn next(&mut self) -> &'static str {
            if signal::ctrl_c().await.is_err() {
                future::pending::<()>().await;
            }
            "Ctrl-C"
        }
    }
}
