//! `completions`, `man` and `schema` as they are called: what a shell, `man` and an editor read.

use assert_cmd::Command;

fn imparcial(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_imparcial")).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_shell_is_told_of_every_subcommand() {
    let (_, help, _) = imparcial(&["--help"]);
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"grade") && commands.contains(&"completions"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, err) = imparcial(&["completions", shell]);
        assert_eq!((code, err.as_str()), (0, ""));
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(script.contains("compose-file"), "{shell}");
    }
    // The script is one that bash reads.
    let (_, script, _) = imparcial(&["completions", "bash"]);
    Command::new("bash").args(["--norc", "-n"]).write_stdin(script).assert().success();
    assert_eq!(imparcial(&["completions", "tcsh"]).0, 2);
}

#[test]
fn man_has_a_page_for_the_whole_and_for_each_subcommand() {
    let (code, page, _) = imparcial(&["man"]);
    assert_eq!(code, 0);
    assert!(page.contains(".TH imparcial 1") && page.contains(".SH SUBCOMMANDS"), "{page}");
    let (code, page, _) = imparcial(&["man", "grade"]);
    assert_eq!(code, 0);
    assert!(page.contains("imparcial\\-grade") || page.contains("imparcial grade"), "{page}");
    assert!(page.contains("\\-\\-compose\\-file"), "{page}");
    let (code, out, err) = imparcial(&["man", "grde"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(err, "error: there is no subcommand `grde`: did you mean `grade`?\n");
}

#[test]
fn the_schema_is_printed_as_it_is_committed() {
    let scenarios = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for (args, file) in [(&["schema"][..], "schema.json"), (&["schema", "--kinds"], "KINDS.md")] {
        let (code, out, err) = imparcial(args);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out == std::fs::read_to_string(scenarios.join(file)).unwrap(), "{file} is stale");
    }
}
