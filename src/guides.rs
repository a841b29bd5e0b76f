//! Guides: from the first delivery to a service in production.

/// Includes a guide, with its links to other guides as links to their modules.
///
/// The first definition of a link counts, so these definitions replace those at the end of each file.
macro_rules! guide {
    ($name:ident, $file:literal) => {
        #[doc = "[first hour]: super::first_hour"]
        #[doc = "[from FastAPI]: super::from_fastapi"]
        #[doc = "[deploying]: super::deploying"]
        #[doc = "[operating]: super::operating"]
        #[doc = "[troubleshooting]: super::troubleshooting"]
        #[doc = ""]
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

guide!(first_hour, "../docs/first-hour.md");
guide!(from_fastapi, "../docs/from-fastapi.md");
guide!(deploying, "../docs/deploying.md");
guide!(operating, "../docs/operating.md");
guide!(troubleshooting, "../docs/troubleshooting.md");
