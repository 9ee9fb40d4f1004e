//! `--help`: the options of a command first, then the global ones, each on a line.

use crate::rig::{Rig, stdout};

/// Columns of a line of help.
const WIDTH: usize = 100;

/// The words of a help text that begin an option, in order, and the headings.
fn outline(help: &str) -> Vec<&str> {
    let lines = help.lines().filter(|line| !line.trim().is_empty());
    lines
        .filter_map(|line| match line.trim_start() {
            option if option.starts_with('-') => {
                option.split([' ', '[']).find(|word| word.starts_with("--"))
            }
            heading if line.ends_with(':') => Some(heading),
            _ => None,
        })
        .collect()
}

#[test]
fn every_option_is_a_line_and_those_of_the_command_come_first() {
    let rig = Rig::new();
    let whole = stdout(&rig.run(&["--help"]));
    let commands = whole.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let commands = commands.lines().filter_map(|line| line.split_whitespace().next());
    let commands: Vec<&str> = commands.filter(|command| *command != "help").collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in [&[""][..], &commands].concat() {
        let words: Vec<&str> =
            [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let help = stdout(&rig.run(&words));
        let outline = outline(&help);
        let at = |word: &str| outline.iter().position(|one| *one == word);
        let (own, global) = (at("Options:").unwrap(), at("Global options:").unwrap());
        assert!(own < at("--help").unwrap() && at("--help").unwrap() < global, "{command}: {help}");
        assert!(at("--data-dir").unwrap() > global, "{command}: {help}");
        if command == "export" {
            assert!(at("--transfer-syntax").unwrap() < global, "{help}");
        }
        for line in help.lines() {
            assert!(line.chars().count() <= WIDTH, "{command}: {line}");
            // A wrapped description continues below the descriptions.
            assert!(!line.starts_with("            "), "{command}: {line}");
        }
    }
}
