//! Comparison of aliases as the gateway's database does it: without case, accents and trailing spaces.
//!
//! The common Latin letters are folded, and combining accents anywhere. That is less than a database
//! knows, and all that the aliases of a test need.

/// The form of an alias in which equal ones are equal, and by whose order a list is sorted.
pub(crate) fn fold(alias: &str) -> String {
    alias
        .trim_end_matches(' ')
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|character| !('\u{300}'..='\u{36f}').contains(character))
        .map(without_accent)
        .collect()
}

fn without_accent(letter: char) -> char {
    match letter {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' | 'đ' => 'd',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ĥ' | 'ħ' => 'h',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => 'i',
        'ĵ' => 'j',
        'ķ' => 'k',
        'ĺ' | 'ļ' | 'ľ' | 'ł' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => 'o',
        'ŕ' | 'ŗ' | 'ř' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' => 's',
        'ţ' | 'ť' | 'ŧ' => 't',
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => 'u',
        'ŵ' => 'w',
        'ý' | 'ÿ' | 'ŷ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn case_accents_and_trailing_spaces_do_not_count() {
        for spelling in ["my-gpt", "MY-GPT", "my-gpt  ", "mý-gpt", "MY\u{301}-GPT"] {
            assert_eq!(fold(spelling), "my-gpt", "{spelling:?}");
        }
    }

    #[test]
    fn leading_spaces_and_letters_count() {
        assert_ne!(fold(" my-gpt"), fold("my-gpt"));
        assert_ne!(fold("my-gpt2"), fold("my-gpt"));
    }
}
