//! What Vagrant prints, made fit to keep and to read: no colours, no drawing over a line, no line twice in a row. Pure.

/// Bytes of Vagrant's output that are kept: its beginning and its end.
const KEPT: usize = 256 << 10;
/// Lines that are repeated while something is waited for, whatever stands between them.
const WAITING: [&str; 4] = [
    "Warning: Connection refused. Retrying...",
    "Warning: Connection reset. Retrying...",
    "Warning: Authentication failure.",
    "Waiting for container to enter",
];

/// One text of what was printed.
pub fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = crate::sanitize::colourless(&text);
    let mut lines: Vec<(String, usize)> = Vec::new();
    for line in text.split('\n') {
        // What was drawn last is what a person would still see.
        let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().trim_end();
        let body = body(line);
        if body.is_empty() {
            continue;
        }
        if WAITING.iter().any(|waiting| body.starts_with(waiting))
            && let Some(known) = lines.iter_mut().rev().take(40).find(|(known, _)| known == line)
        {
            known.1 += 1;
            continue;
        }
        match lines.last_mut() {
            Some((last, times)) if last == line => *times += 1,
            _ => lines.push((line.to_owned(), 1)),
        }
    }
    let mut out = String::new();
    for (line, times) in lines {
        out.push_str(&line);
        if times > 1 {
            out.push_str(&format!(" (×{times})"));
        }
        out.push('\n');
    }
    crate::sanitize::cap(&out, KEPT)
}

/// A line without the name of the machine that it is of.
pub fn body(line: &str) -> &str {
    let line = line.trim_start_matches("==> ").trim_start();
    match line.split_once(": ") {
        Some((machine, rest)) if !machine.contains(' ') => rest.trim(),
        Some((machine, "")) if !machine.contains(' ') => "",
        _ if line.ends_with(':') && !line.contains(' ') => "",
        _ => line.trim(),
    }
}

/// What Vagrant says of one machine that could not be brought up, and of no machine in particular.
pub fn error_of(text: &str, machine: &str, alone: bool) -> Option<String> {
    let head = format!("An error occurred while executing the action on the '{machine}'");
    if let Some((_, rest)) = text.split_once(&head) {
        let rest = rest.split_once("then try again:").map_or(rest, |(_, rest)| rest);
        let rest = rest.split_once("An error occurred while executing the action on the").map_or(rest, |(own, _)| own);
        return Some(rest.trim().to_owned());
    }
    // Of a single machine, or before any machine was begun: what stands at the end and belongs to none.
    let own = |line: &&str| !line.starts_with("==>") && !line.starts_with("    ");
    let last: Vec<&str> = text.lines().rev().take_while(own).collect();
    let said = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    (alone && !said.trim().is_empty()).then(|| said.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_one_line() {
        let printed = b"==> w1: Creating...\r\n\x1b[0m    w1: 10%\r    w1: 100%\n    w1:  \n    w1: Warning: Connection refused. Retrying...\n\
            ==> w2: Starting container...\n    w1: Warning: Connection refused. Retrying...\n    w1: x\n    w1: x\n";
        let want = "==> w1: Creating...\n    w1: 100%\n    w1: Warning: Connection refused. Retrying... (×2)\n\
            ==> w2: Starting container...\n    w1: x (×2)\n";
        assert_eq!(clean(printed), want);
    }

    #[test]
    fn each_machine_has_its_own_error() {
        let text = "==> a: up\nAn error occurred while executing the action on the 'a'\nmachine. Please handle this error then try again:\n\
            no room\nAn error occurred while executing the action on the 'b'\nmachine. Please handle this error then try again:\nAddress already in use\n";
        assert_eq!(error_of(text, "a", false).as_deref(), Some("no room"));
        assert_eq!(error_of(text, "b", false).as_deref(), Some("Address already in use"));
        assert_eq!(error_of(text, "c", false), None);
        assert_eq!(error_of("==> a: up\nThe folder is missing\n", "a", true).as_deref(), Some("The folder is missing"));
    }
}
