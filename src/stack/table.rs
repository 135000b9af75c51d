//! Tables as a MySQL server describes and holds them.

/// A table with the rows that were read of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub schema: String,
    pub name: String,
    pub columns: Vec<Column>,
    /// Every value as text; those of the first rows, and of the last where there are many.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many rows there are in all.
    pub total: u64,
    /// Columns that are unique together, the primary key first.
    pub uniques: Vec<Vec<String>>,
    /// CHECK constraints as the server prints them.
    pub checks: Vec<String>,
}

impl Table {
    /// `schema.table`, as people write it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Quoted for a statement.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }

    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, c)| c.name.eq_ignore_ascii_case(name))
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    pub name: String,
    /// Lower case, without length: `varchar`, `int`.
    pub data_type: String,
    /// In full: `enum('a','b')`, `int(10) unsigned`.
    pub column_type: String,
    pub nullable: bool,
    pub default: Option<String>,
    pub auto_increment: bool,
    pub generated: bool,
    /// Set by the server to the moment of writing.
    pub stamped: bool,
    /// Of texts, in characters.
    pub max_chars: Option<u64>,
    /// Of decimals: digits in all, and after the point.
    pub digits: Option<(u64, u64)>,
    /// Schema, table and column that it must be found in.
    pub references: Option<(String, String, String)>,
}

impl Column {
    pub fn kind(&self) -> Kind {
        match self.data_type.as_str() {
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Kind::Text,
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Kind::Int,
            "decimal" | "numeric" => Kind::Decimal,
            "float" | "double" | "real" => Kind::Float,
            "date" => Kind::Date,
            "datetime" | "timestamp" => Kind::DateTime,
            "time" => Kind::Time,
            "year" => Kind::Year,
            "enum" => Kind::Enum,
            "set" => Kind::Set,
            "json" => Kind::Json,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Binary,
            "bit" => Kind::Bit,
            _ => Kind::Other,
        }
    }

    pub fn unsigned(&self) -> bool {
        self.column_type.contains("unsigned")
    }
}

/// What a column holds, as far as writing and showing it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
    Decimal,
    Float,
    Date,
    DateTime,
    Time,
    Year,
    Enum,
    Set,
    Json,
    Binary,
    Bit,
    Other,
}

/// A name quoted for a statement.
pub fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A table from `name type` pairs and rows in which `-` is NULL.
    pub(crate) fn table(name: &str, columns: &[(&str, &str)], rows: &[&[&str]]) -> Table {
        let column = |(name, kind): &(&str, &str)| {
            let data_type = kind.split(['(', ' ']).next().unwrap_or_default();
            let number = |s: &str| s.split(['(', ')', ',']).nth(1).and_then(|n| n.trim().parse().ok());
            Column {
                name: (*name).to_owned(),
                data_type: data_type.to_owned(),
                column_type: (*kind).to_owned(),
                max_chars: number(kind),
                auto_increment: kind.contains("auto_increment"),
                nullable: !kind.contains("not null"),
                ..Column::default()
            }
        };
        let rows: Vec<Vec<Option<String>>> =
            rows.iter().map(|row| row.iter().map(|v| (*v != "-").then(|| (*v).to_owned())).collect()).collect();
        Table {
            schema: "s".into(),
            name: name.to_owned(),
            columns: columns.iter().map(column).collect(),
            total: rows.len() as u64,
            rows,
            ..Table::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quote("a`b"), "`a``b`");
        assert_eq!(samples::table("t", &[], &[]).quoted(), "`s`.`t`");
    }
}
