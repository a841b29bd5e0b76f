pub use self::platform::{Hangup, Signals};

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

    /// The signal SIGHUP, which asks a program to read its files again. Other systems than Unix have none.
    #[derive(Debug)]
    pub struct Hangup(Signal);

    impl Hangup {
        /// Starts to listen. From now on the signal no longer ends the process.
        ///
        /// # Errors
        ///
        /// Returns a failure if the system does not allow it.
        pub fn new() -> Result<Self, Failure> {
            signal(SignalKind::hangup())
                .map(Self)
                .map_err(|error| Failure::run(format!("cannot listen for SIGHUP: {error}")))
        }

        /// Waits for the next signal.
        pub async fn next(&mut self) {
            self.0.recv().await;
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

    /// The signal SIGHUP, which asks a program to read its files again. This system has none.
    #[derive(Debug)]
    pub struct Hangup;

    impl Hangup {
        /// Does nothing.
        ///
        /// # Errors
        ///
        /// Returns no error.
        #[expect(clippy::unnecessary_wraps, reason = "the signature is that for Unix")]
        pub fn new() -> Result<Self, Failure> {
            Ok(Self)
        }

        /// Waits for ever.
        pub async fn next(&mut self) {
            future::pending::<()>().await;
        }
    }
}
