//! What readers see of a character, by the properties that Unicode gives it.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Whether it is shown as nothing (`Default_Ignorable_Code_Point` of the Unicode Character Database): zero-width
/// characters, fillers, variation selectors. A list, as the only library that knows it takes long to build; a test
/// compares both.
pub(super) fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether a reader sees something where it stands alone.
pub(super) fn is_visible(c: char) -> bool {
    // A Braille pattern without dots, and a note without a head.
    let blank = matches!(c, '\u{2800}' | '\u{1D159}');
    // A mark is seen on another character only; controls and format characters are among the others.
    let unseen =
        matches!(c.general_category_group(), GeneralCategoryGroup::Mark | GeneralCategoryGroup::Separator)
            || matches!(c.general_category(), GeneralCategory::Control | GeneralCategory::Format);
    !blank && !is_ignorable(c) && !unseen
}

/// A letter, a digit or a mark on one, of any script.
pub(super) fn is_word(c: char) -> bool {
    let word = matches!(
        c.general_category_group(),
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark | GeneralCategoryGroup::Number
    );
    word && !is_ignorable(c)
}

/// A mark: it changes the character before it.
pub(super) fn is_mark(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Mark
}

/// A space of any width.
pub(super) fn is_space(c: char) -> bool {
    c.general_category() == GeneralCategory::SpaceSeparator
}

/// What a one-line text cannot hold: controls, line and paragraph separators, and what Unicode says is no character.
pub(crate) fn breaks_a_line(c: char) -> bool {
    let noncharacter = matches!(c, '\u{FDD0}'..='\u{FDEF}') || u32::from(c) & 0xFFFE == 0xFFFE;
    noncharacter || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// An embedding or an override of the direction of writing, or its end: it can make a text read as another one.
pub(super) fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}')
}

/// Whether every isolate (U+2066 to U+2068) ends (U+2069) within the text, so that it steers nothing outside of it.
pub(super) fn isolates_end(text: &str) -> bool {
    let open = text.chars().try_fold(0_usize, |open, c| match c {
        '\u{2066}'..='\u{2068}' => Some(open + 1),
        '\u{2069}' => open.checked_sub(1),
        _ => Some(open),
    });
    open == Some(0)
}

/// Whether it may be skipped, shown as nothing or read as another one by whoever follows a web address.
pub(crate) fn misleads(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '\\' | '<' | '>' | '"')
        || matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{FEFF}')
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
}

#[cfg(test)]
mod tests {
    use icu_properties::CodePointSetData;
    use icu_properties::props::DefaultIgnorableCodePoint;

    use super::*;

    #[test]
    fn the_list_of_what_is_shown_as_nothing_is_that_of_unicode() {
        let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        for c in '\0'..=char::MAX {
            assert_eq!(is_ignorable(c), ignorable.contains(c), "{c:?}");
        }
    }
}
