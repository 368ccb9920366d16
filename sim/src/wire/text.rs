//! What the simulated model says. Not sense, but with everything that makes text hard to read byte by byte.

/// Quotes, escapes, characters of two to four bytes, and pieces that look like the protocol around them.
const WORDS: [&str; 16] = [
    " the",
    " model",
    " says",
    "\n\n",
    " \"usage\":",
    " größer",
    " 答え",
    " 🙂",
    "\\",
    " data:",
    " token",
    " [DONE]",
    "\t-",
    " {}",
    " naïve",
    ".",
];

/// The text of one token, `bytes` long where its word is shorter than that, counted in bytes of UTF-8.
pub fn token(index: u32, bytes: u32) -> String {
    let position = usize::try_from(index).unwrap_or_default() % WORDS.len();
    let word = WORDS.get(position).copied().unwrap_or_default();
    let missing = usize::try_from(bytes).unwrap_or_default().saturating_sub(word.len());
    format!("{word}{}", "a".repeat(missing))
}

/// The text of several tokens in a row.
pub(super) fn tokens(first: u32, count: u32, bytes: u32) -> String {
    (first..first.saturating_add(count)).map(|index| token(index, bytes)).collect()
}
