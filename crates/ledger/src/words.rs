//! An identity as 24 words, to be written on paper (BIP-39, the English list).
//!
//! The words *are* the identity's 32 secret bytes, with one byte of checksum: no password, no other derivation. So the
//! 24 words bring back everything that follows from the identity, and nothing else than them does.
//!
//! Who types them in is a person with a piece of paper: case, line breaks, numbers before the words, commas and the
//! full-width letters of a Japanese keyboard do not matter. A word that is not in the list is named, with its place and
//! the words that it may have been.

use crate::keys::Identity;
use alloc::string::String;
use alloc::vec::Vec;
use bip39::{Language, Mnemonic};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// How many words an identity has.
pub const WORDS: usize = 24;
/// The most bytes of a text that is looked at.
pub const MAX_TEXT: usize = 4 * 1_024;
/// The most letters of a wrong word that are repeated in the error.
const MAX_SHOWN: usize = 32;
/// The most words proposed for a wrong one.
const MAX_NEAR: usize = 4;
/// Room for the longest 24 words, so that no copy of a part of them stays behind in memory.
const ROOM: usize = WORDS * 9;

/// Why a text is no identity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WordsError {
    /// Longer than any way of writing 24 words.
    #[error("{len} bytes, where at most {MAX_TEXT} are read")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Words are missing, or there are too many.
    #[error("{found} words, where {WORDS} are needed")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// A word is not in the list; the first such.
    #[error("word {place}, \"{word}\", is not in the list")]
    Unknown {
        /// Its place, from 1.
        place: usize,
        /// The word as it was read, in lower case and at most 32 letters.
        word: String,
        /// Words of the list that are near it, the nearest first; at most 4, or none.
        near: Vec<&'static str>,
    },
    /// Each word is one of the list, but together they are nobody's: one is another than was written, or two are
    /// exchanged.
    #[error("all words are in the list, but together they are wrong: one is another, or two are exchanged")]
    Checksum,
}

impl Identity {
    /// The 24 words, with a space between.
    pub fn words(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(ROOM));
        // 32 bytes are always 24 words: the error is for other lengths.
        if let Ok(mut mnemonic) = Mnemonic::from_entropy_in(Language::English, &*self.secret()) {
            for word in mnemonic.words() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
            mnemonic.zeroize();
        }
        text
    }

    /// The identity that a person's 24 words are.
    ///
    /// # Errors
    /// [`WordsError`].
    pub fn from_words(text: &str) -> Result<Self, WordsError> {
        if text.len() > MAX_TEXT {
            return Err(WordsError::TooLong { len: text.len() });
        }
        let typed = Zeroizing::new(typed_words(text));
        if let Some((at, word)) = typed.iter().enumerate().find(|(_, word)| Language::English.find_word(word).is_none())
        {
            let shown = word.chars().take(MAX_SHOWN).collect();
            return Err(WordsError::Unknown { place: at + 1, word: shown, near: near(word) });
        }
        if typed.len() != WORDS {
            return Err(WordsError::Count { found: typed.len() });
        }
        let mut joined = Zeroizing::new(String::with_capacity(ROOM));
        for word in typed.iter() {
            joined.push_str(word);
            joined.push(' ');
        }
        let mut mnemonic =
            Mnemonic::parse_in_normalized(Language::English, &joined).map_err(|_| WordsError::Checksum)?;
        let (bytes, _) = mnemonic.to_entropy_array();
        mnemonic.zeroize();
        let bytes = Zeroizing::new(bytes);
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&bytes[..32]);
        Ok(Identity::from_secret(*secret))
    }
}

/// The words of the list that begin as a person types, to choose from; at most `most`.
pub fn beginning_with(typed: &str, most: usize) -> Vec<&'static str> {
    let typed: String = typed.chars().map(plain).collect();
    Language::English.words_by_prefix(&typed).iter().copied().take(most).collect()
}

/// The words of a text, in lower-case ASCII where they have any.
fn typed_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars().map(plain) {
        if !is_between(letter) {
            word.push(letter);
        } else if !word.is_empty() {
            words.push(core::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A letter without case and width: full-width forms stand in Unicode as ASCII does, elsewhere.
fn plain(letter: char) -> char {
    let narrow = match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(letter as u32 - 0xfee0).unwrap_or(letter),
        _ => letter,
    };
    narrow.to_ascii_lowercase()
}

/// Whether a letter belongs to no word: numbers, signs, all spaces, and what a word processor or Japanese puts between.
fn is_between(letter: char) -> bool {
    match letter {
        '\0'..='\x7f' => !letter.is_ascii_alphabetic(),
        '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{3003}' | '\u{30fb}' | '\u{feff}' | '\u{b7}' => true,
        _ => letter.is_whitespace(),
    }
}

/// The words of the list that a wrong one may have been: two slips away at most, those of fewer slips first; of as
/// many, those that begin alike.
fn near(word: &str) -> Vec<&'static str> {
    let word: Vec<char> = word.chars().take(MAX_SHOWN).collect();
    let begins_alike = |other: &str| word.iter().zip(other.chars()).take_while(|(one, other)| *one == other).count();
    let mut found: Vec<_> = Language::English
        .word_list()
        .iter()
        .filter_map(|other| {
            let slips = slips(&word, other);
            // "cat" is two slips from a hundred words: none of them is meant.
            let most = if word.len() > 4 { 2 } else { 1 };
            (slips <= most).then(|| (slips, usize::MAX - begins_alike(other), *other))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(MAX_NEAR).map(|(_, _, word)| word).collect()
}

/// How many letters are missing, too many, wrong, or exchanged with the next one.
fn slips(word: &[char], other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    if word.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in word.iter().enumerate() {
        let mut next = Vec::with_capacity(last.len());
        next.push(at + 1);
        for (to, theirs) in other.iter().enumerate() {
            let replaced = last[to] + usize::from(letter != theirs);
            let mut least = replaced.min(last[to + 1] + 1).min(next[to] + 1);
            if at > 0 && to > 0 && word[at - 1] == *theirs && *letter == other[to - 1] {
                least = least.min(before[to - 1] + 1);
            }
            next.push(least);
        }
        before = core::mem::replace(&mut last, next);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::hostile::{Dice, mutate, random};
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    /// Published with BIP-39 (trezor/python-mnemonic, vectors.json): entropy and its words.
    const PUBLISHED: [([u8; 32], &str); 3] = [
        (
            [0; 32],
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
             abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art",
        ),
        (
            [0x7f; 32],
            "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal \
             winner thank year wave sausage worth title",
        ),
        (
            [0xff; 32],
            "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote",
        ),
    ];

    fn secret_of(text: &str) -> Result<[u8; 32], WordsError> {
        Identity::from_words(text).map(|identity| *identity.secret())
    }

    #[test]
    fn the_published_words_are_these() {
        for (secret, words) in PUBLISHED {
            assert_eq!(*Identity::from_secret(secret).words(), words);
            assert_eq!(secret_of(words), Ok(secret));
        }
    }

    #[test]
    fn the_room_is_enough() {
        assert!(Language::English.word_list().iter().all(|word| word.len() < ROOM / WORDS));
    }

    fn full_width(text: &str) -> String {
        text.chars().map(|c| if c == ' ' { '\u{3000}' } else { char::from_u32(c as u32 + 0xfee0).unwrap() }).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn words_read_back_however_they_are_written(secret: [u8; 32], seed: u64) {
            let words = Identity::from_secret(secret).words();
            prop_assert_eq!(words.split(' ').count(), WORDS);
            let mut dice = Dice::new(seed);
            let mut text = String::new();
            for (at, word) in words.split(' ').enumerate() {
                let between = [" ", "\r\n", "\t ", ",", "\u{3000}", "、", " - ", "\u{200b}", "\u{a0}"];
                text.push_str(between[dice.below(between.len())]);
                if dice.below(2) == 0 {
                    text.push_str(&alloc::format!("{}. ", at + 1));
                }
                text.push_str(&match dice.below(3) {
                    0 => word.to_string(),
                    1 => word.to_ascii_uppercase(),
                    _ => full_width(word),
                });
            }
            prop_assert_eq!(secret_of(&text), Ok(secret));
        }

        #[test]
        fn one_wrong_word_is_told(secret: [u8; 32], place in 0..WORDS, slip in 0usize..4) {
            let words = Identity::from_secret(secret).words();
            let mut words: Vec<String> = words.split(' ').map(str::to_string).collect();
            let meant = words[place].clone();
            match slip {
                0 => drop(words[place].remove(meant.len() / 2)),
                1 => words[place].push('q'),
                2 => words[place].insert(1, 'x'),
                _ => {
                    let swapped: Vec<u8> = [&meant.as_bytes()[..1], &[meant.as_bytes()[2], meant.as_bytes()[1]],
                        &meant.as_bytes()[3..]].concat();
                    words[place] = String::from_utf8(swapped).unwrap();
                }
            }
            match secret_of(&words.join(" ")) {
                Err(WordsError::Unknown { place: told, word, near }) => {
                    prop_assert_eq!((told, &word), (place + 1, &words[place]));
                    prop_assert!(near.len() <= MAX_NEAR);
                    // Among thousands of words some slip lies between more than we name.
                    prop_assert!(near.contains(&meant.as_str()) || near.len() == MAX_NEAR, "{} {:?}", word, near);
                }
                // The slip made another word of the list, or (one time in 256) an identity too.
                Err(WordsError::Checksum) | Ok(_) => {
                    prop_assert!(Language::English.find_word(&words[place]).is_some());
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn nothing_typed_panics(seed: u64, text: String) {
            let words = PUBLISHED[seed as usize % 3].1;
            for bytes in [mutate(words.as_bytes(), seed), random(200, seed), text.into_bytes()] {
                secret_of(&String::from_utf8_lossy(&bytes)).ok();
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (_, words) = PUBLISHED[0];
        assert_eq!(secret_of(""), Err(WordsError::Count { found: 0 }));
        assert_eq!(secret_of(&alloc::format!("{words} art")), Err(WordsError::Count { found: 25 }));
        assert_eq!(secret_of(&words.replace("art", "zoo")), Err(WordsError::Checksum));
        assert_eq!(secret_of(&"a".repeat(MAX_TEXT + 1)), Err(WordsError::TooLong { len: MAX_TEXT + 1 }));
        let unknown = |place, word: &str, near| Err(WordsError::Unknown { place, word: word.to_string(), near });
        assert_eq!(secret_of("abandon abandn"), unknown(2, "abandn", vec!["abandon"]));
        assert_eq!(secret_of("lgeal winner"), unknown(1, "lgeal", vec!["legal", "leaf", "local", "loyal"]));
        assert_eq!(secret_of("あ"), unknown(1, "あ", vec![]));
    }

    #[test]
    fn a_beginning_gives_the_words() {
        assert_eq!(beginning_with("Ａban", 5), ["abandon"]);
        assert_eq!(beginning_with("zo", 5), ["zone", "zoo"]);
        assert_eq!(beginning_with("", 2).len(), 2);
        assert_eq!(beginning_with("あ", 2).len(), 0);
    }
}
