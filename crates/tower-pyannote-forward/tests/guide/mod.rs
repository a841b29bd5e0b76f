//! The programs of the guide.

/// Returns the code of a language in a section of the guide.
pub(crate) fn block(section: &str, language: &str) -> String {
    let start = format!("\n## {section}\n");
    let (_, rest) = GUIDE.split_once(&start).expect("the guide has the section");
    let section = rest.split("\n## ").next().unwrap();
    let (_, code) = section
        .split_once(&format!("```{language}\n"))
        .expect("the section has a program");
    let (code, _) = code.split_once("```\n").expect("the program ends");
    code.to_owned()
}

const GUIDE: &str = include_str!("../../../../docs/other-languages.md");
