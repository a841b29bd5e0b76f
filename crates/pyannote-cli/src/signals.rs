pub use self::platform::Signals;

#[cfg(unix)]
mod platform {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use crate::failure::Failure;

    /// The signals that ask a program to stop: SIGTERM and SIGINT, or Ctrl-C on other systems than Unix.
    #[derive(Debug)]
    pub struct Signals {
        terminate: Signal,
        interrupt: Signal,
    }

    impl Signals {
        /// Starts to listen. From now on the signals no longer end the process.
        ///
        /// # Errors
        ///
        /// Returns a failure if the system does not allow it.
        pub fn new() -> Result<Self, Failure> {
            let listen = |kind| {
                signal(kind)
                    .map_err(|error| Failure::run(format!("cannot listen for signals: {error}")))
            };
            Ok(Self {
                terminate: listen(SignalKind::terminate())?,
                interrupt: listen(SignalKind::interrupt())?,
            })
        }

        /// Waits for the next signal and returns its name.
        pub async fn next(&mut self) -> &'static str {
            tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            }
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::future;

    use tokio::signal;

    use crate::failure::Failure;

    /// The signals that ask a program to stop: SIGTERM and SIGINT, or Ctrl-C on other systems than Unix.
    #[derive(Debug)]
    pub struct Signals;

    impl Signals {
        /// Does nothing: Ctrl-C ends the process until [`Signals::next`] waits for it.
        ///
        /// # Errors
        ///
        /// Returns no error.
        #[expect(clippy::unnecessary_wraps, reason = "the signature is that for Unix")]
        pub fn new() -> Result<Self, Failure> {
            Ok(Self)
        }

        /// Waits for Ctrl-C and returns its name.
        pub async fn next(&mut self) -> &'static str {
            if signal::ctrl_c().await.is_err() {
                future::pending::<()>().await;
            }
            "Ctrl-C"
        }
    }
}
