//! What readers see of a character, by the properties that Unicode gives it.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

const WORD: GeneralCategoryGroup =
    GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Mark).union(GeneralCategoryGroup::Number);
/// Marks are seen on another character only.
const UNSEEN: GeneralCategoryGroup = GeneralCategoryGroup::Mark
    .union(GeneralCategoryGroup::Separator)
    .union(GeneralCategoryGroup::Control)
    .union(GeneralCategoryGroup::Format);

/// Whether it is shown as nothing (`Default_Ignorable_Code_Point`): zero-width characters, fillers, variation selectors.
pub(super) fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether a reader sees something where it stands alone.
pub(super) fn is_visible(c: char) -> bool {
    // A Braille pattern without dots, and a note without a head.
    let blank = matches!(c, '\u{2800}' | '\u{1D159}');
    !blank && !is_ignorable(c) && !UNSEEN.contains(category(c))
}

/// A letter, a digit or a mark on one, of any script.
pub(super) fn is_word(c: char) -> bool {
    WORD.contains(category(c)) && !is_ignorable(c)
}

/// A mark: it changes the character before it.
pub(super) fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(c))
}

/// A space of any width.
pub(super) fn is_space(c: char) -> bool {
    category(c) == GeneralCategory::SpaceSeparator
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

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}
