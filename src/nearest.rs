//! The nearest valid name to a mistyped one.

use crate::text::Text;

/// The name among `names` that was probably meant, where one is near enough.
pub fn nearest<'n>(typed: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let typed = plain(typed);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&typed, &plain(name)), name))
        .filter(|(distance, name)| *distance <= limit(&typed, name) || starts(&typed, &plain(name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A hint for an unknown name: the nearest, and where none is near, all that there are.
pub fn hint<'n>(typed: &str, names: impl IntoIterator<Item = &'n str> + Clone) -> String {
    if let Some(name) = nearest(typed, names.clone()) {
        return format!("did you mean `{name}`?");
    }
    list(names)
}

/// The same for people, in both languages.
pub fn text<'n>(typed: &str, all: impl IntoIterator<Item = &'n str> + Clone) -> Text {
    let es = match nearest(typed, all.clone()) {
        Some(name) => format!("¿quiso decir `{name}`?"),
        None => match all.clone().into_iter().count() {
            0 => "no hay ninguno".to_owned(),
            1 => format!("el único es {}", names(all.clone())),
            _ => format!("uno de {}", names(all.clone())),
        },
    };
    Text::new(hint(typed, all), es)
}

/// All the names that there are, as a hint.
pub fn list<'n>(all: impl IntoIterator<Item = &'n str> + Clone) -> String {
    match all.clone().into_iter().count() {
        0 => "there are none".to_owned(),
        1 => format!("the only one is {}", names(all)),
        _ => format!("one of {}", names(all)),
    }
}

/// Names as they are written.
pub fn names<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// `app-runs`, `app_runs` and `App Runs` are one name to who types it.
fn plain(name: &str) -> String {
    name.to_lowercase().replace(['-', ' '], "_")
}

/// A third of the letters may be wrong, one of two or three, none of one.
fn limit(typed: &str, name: &str) -> usize {
    let (typed, name) = (typed.chars().count(), name.chars().count());
    (typed.max(name) / 3).max(1).min(typed.min(name).saturating_sub(1))
}

/// `quiet_for` for `quiet_for_s`, `db-runs-now` for `db-runs`.
fn starts(typed: &str, name: &str) -> bool {
    let (short, long) = if typed.len() < name.len() { (typed, name) } else { (name, typed) };
    short.chars().count() >= 4 && long.starts_with(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let names = ["points", "needs", "explained_by", "expect", "quiet_for_s"];
        assert_eq!(nearest("point", names), Some("points"));
        assert_eq!(nearest("explained-by", names), Some("explained_by"));
        assert_eq!(nearest("exepct", names), Some("expect"));
        assert_eq!(nearest("quiet_for", names), Some("quiet_for_s"));
        assert_eq!(nearest("banana", names), None);
        assert_eq!(nearest("w", ["n", "with"]), None);
    }

    #[test]
    fn a_hint_names_the_nearest_or_all() {
        assert_eq!(hint("need", ["needs", "id"]), "did you mean `needs`?");
        assert_eq!(hint("banana", ["needs", "id"]), "one of `needs`, `id`");
        assert_eq!(hint("banana", ["needs"]), "the only one is `needs`");
        assert_eq!(hint("banana", []), "there are none");
    }
}
