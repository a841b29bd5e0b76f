//! Macros for logs, spans and metrics.
//!
//! Without its feature, a macro only borrows its arguments, and does not evaluate them. So callers need no `cfg`.
//! The features are those of the crate that calls the macro, since `cfg` is evaluated where a macro expands.

/// Logs through `tracing`: `log_event!(WARN, field = value, "message")`.
///
/// A value that only implements `Display` is passed as `format_args!("{value}")`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_event {
    ($level:ident, $($field:ident = $value:expr,)* $message:literal) => {{
        #[cfg(feature = "tracing")]
        ::tracing::event!(::tracing::Level::$level, $($field = $value,)* $message);
        #[cfg(not(feature = "tracing"))]
        let _ = || {
            $(let _ = &$value;)*
            let _ = ::std::format_args!($message);
        };
    }};
}

/// Records through `metrics`: `metric!(counter(NAME, "label" => value).increment(1))`.
#[doc(hidden)]
#[macro_export]
macro_rules! __metric {
    ($kind:ident($name:expr $(, $label:literal => $value:expr)*).$record:ident($amount:expr)) => {{
        #[cfg(feature = "metrics")]
        ::metrics::$kind!($name $(, $label => $value)*).$record($amount);
        #[cfg(not(feature = "metrics"))]
        let _ = || {
            $(let _ = &$value;)*
            let _ = &$amount;
        };
    }};
}

#[cfg(any(feature = "layer", feature = "handler"))]
pub(crate) use {__log_event as log_event, __metric as metric};
