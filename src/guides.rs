//! Guides: from the first delivery to a service in production.

/// Includes a guide, with its links to other guides as links to their modules.
///
/// The first definition of a link counts, so these definitions replace those at the end of each file.
macro_rules! guide {
    ($name:ident, $file:literal) => {
        #[doc = "[first hour]: crate::guides::first_hour"]
        #[doc = "[from FastAPI]: crate::guides::from_fastapi"]
        #[doc = "[deploying]: crate::guides::deploying"]
        #[doc = "[operating]: crate::guides::operating"]
        #[doc = "[the page]: crate::guides::page"]
        #[doc = "[troubleshooting]: crate::guides::troubleshooting"]
        #[doc = "[other languages]: crate::guides::other_languages"]
        #[doc = ""]
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

guide!(first_hour, "../docs/first-hour.md");
guide!(from_fastapi, "../docs/from-fastapi.md");
guide!(deploying, "../docs/deploying.md");
guide!(operating, "../docs/operating.md");
guide!(page, "../docs/page.md");
guide!(troubleshooting, "../docs/troubleshooting.md");
guide!(other_languages, "../docs/other-languages.md");
