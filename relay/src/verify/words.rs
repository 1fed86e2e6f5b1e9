//! Findings in sentences. A name or a text comes from strangers: no character of it controls the terminal, and each line
//! of a text is marked, so that it passes for none of ours.

use std::fmt::Write;

use ledgerno_ledger::op::{Operation, Talk};
use ledgerno_ledger::proof::{Content, FileError, Limit, Person, Proven, Rests, Statement, Voucher};

use super::Unproven;
use crate::error::Language::{self, English, Japanese};

/// What a file proves, what that rests on, and what it does not say.
pub fn proven(proven: &Proven, document: bool, language: Language) -> String {
    let [proves, rests, limits] = match language {
        English => ["This is proven:", "It rests on:", "It does not say:"],
        Japanese => ["証明されたこと:", "根拠:", "証明していないこと:"],
    };
    let mut text = format!("{proves}\n");
    let mut paragraph = |heading: Option<&str>, lines: Vec<String>| {
        if let Some(heading) = heading {
            text.push_str(&format!("\n{heading}\n"));
        }
        lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    };
    paragraph(None, statement(proven, document, language));
    paragraph(Some(rests), trust(proven, language));
    paragraph(Some(limits), proven.limits().iter().map(|one| limit(*one, language).to_owned()).collect());
    text
}

/// Why a file does not prove what was asked.
pub fn unproven(why: &Unproven, language: Language) -> String {
    match (why, language) {
        (Unproven::Unreadable(path, error), English) => format!("{path} cannot be read: {error}"),
        (Unproven::Unreadable(path, error), Japanese) => format!("{path} を読めません。詳細: {error}"),
        (Unproven::Nothing(FileError::Version(_)), English) => {
            "the file was made by a newer version of ledgerno: whether it holds, a newer ledgerno-relay tells".to_owned()
        }
        (Unproven::Nothing(FileError::Version(_)), Japanese) => {
            "このファイルは新しいバージョンの ledgerno で作られています。正しいかどうかは、新しい ledgerno-relay で確かめてください".to_owned()
        }
        (Unproven::Nothing(error), English) => format!("the file proves nothing: {error}"),
        (Unproven::Nothing(error), Japanese) => format!("このファイルは何も証明しません。詳細: {error}"),
        (Unproven::OtherDocument, English) => "the proof holds, but it is about another document".to_owned(),
        (Unproven::OtherDocument, Japanese) => "証明は正しいですが、別の文書についてのものです".to_owned(),
        (Unproven::NoDocument, English) => "the proof holds, but it is about no document".to_owned(),
        (Unproven::NoDocument, Japanese) => "証明は正しいですが、文書についてのものではありません".to_owned(),
        (Unproven::OtherCircle, English) => "the proof holds, but it is of another circle".to_owned(),
        (Unproven::OtherCircle, Japanese) => "証明は正しいですが、別のサークルのものです".to_owned(),
    }
}

fn statement(proven: &Proven, document: bool, language: Language) -> Vec<String> {
    let newest = || proven.trust.map_or_else(String::new, |rests| when(rests.newest.height, rests.time, language));
    match &proven.statement {
        Statement::Header(header) => {
            let at = newest();
            let (hash, entries) = (header.hash(), header.entries);
            match language {
                English => vec![format!("A header was settled {at}, over {entries} entries: {hash}")],
                Japanese => vec![format!("ヘッダーが確定しました({at}、エントリー {entries} 件): {hash}")],
            }
        }
        Statement::Member { id, name, joined_height, balance, removed } => {
            let (name, at) = (one_line(name), newest());
            let mut lines = match language {
                English => vec![
                    format!("\"{name}\" is a member, {at}."),
                    format!("Joined at height {joined_height}; {balance} points."),
                    format!("member: {id}"),
                ],
                Japanese => vec![
                    format!("「{name}」はメンバーです({at})。"),
                    format!("高さ {joined_height} で参加、{balance} ポイント。"),
                    format!("メンバー: {id}"),
                ],
            };
            lines.extend(gone(*removed, language));
            lines
        }
        Statement::Stamp { document, by, entry, height, time, vouchers } => {
            let (name, at) = (one_line(&by.name), when(*height, *time, language));
            let mut lines = match language {
                English => vec![
                    format!("A document existed {at}: its stamp was settled then, by the member \"{name}\"."),
                    format!("document (BLAKE3): {document}"),
                ],
                Japanese => vec![
                    format!("ある文書が存在していました({at})。メンバー「{name}」のスタンプがその時に確定しました。"),
                    format!("文書 (BLAKE3): {document}"),
                ],
            };
            lines.extend(person(by, language));
            lines.push(format!("{}: {entry}", pick(language, "entry", "エントリー")));
            for Voucher { person: who, height, time } in vouchers {
                let (name, at) = (one_line(&who.name), when(*height, *time, language));
                lines.push(match language {
                    English => format!("\"{name}\" vouched for it {at}."),
                    Japanese => format!("「{name}」が保証しました({at})。"),
                });
                lines.extend(person(who, language));
            }
            lines
        }
        Statement::NoMember(id) => {
            let at = newest();
            match language {
                English => vec![format!("Nobody with this identity is a member, {at}: {id}")],
                Japanese => vec![format!("この ID の人はメンバーではありません({at}): {id}")],
            }
        }
        Statement::Entry { id, author, seq, written, settled, settled_time, content } => {
            let (at, written) = (when(settled.height, *settled_time, language), date(*written));
            let mut lines = match language {
                English => vec![
                    format!("\"{}\" wrote an entry, and it was settled {at}.", one_line(&author.name)),
                    format!("The author's clock said {written}; it is the device's entry number {seq}."),
                ],
                Japanese => vec![
                    format!("「{}」がエントリーを書き、確定しました({at})。", one_line(&author.name)),
                    format!("書いた人の時計では {written}、その端末の {seq} 番目のエントリーです。"),
                ],
            };
            lines.extend(says(content, language));
            lines.extend(person(author, language));
            lines.push(format!("{}: {id}", pick(language, "entry", "エントリー")));
            lines
        }
        Statement::Fork { device, author, seq, entries } => {
            let mut lines = match language {
                English => vec![format!("A device signed two entries for one place ({seq}) of its chain: it forked.")],
                Japanese => vec![format!("ある端末が同じ位置({seq})に 2 つのエントリーを署名しました。分岐です。")],
            };
            match author {
                Some(author) => lines.extend(person(author, language)),
                None => lines.push(format!("{}: {device}", pick(language, "device", "端末"))),
            }
            lines.extend(entries.iter().map(|id| format!("{}: {id}", pick(language, "entry", "エントリー"))));
            lines
        }
    }
    .into_iter()
    .chain(document.then(|| pick(language, "The document is the one.", "文書は一致しました。").to_owned()))
    .collect()
}

fn says(content: &Content, language: Language) -> Vec<String> {
    let it_says = pick(language, "It says:", "内容:").to_owned();
    match content {
        Content::Sealed(_) => vec![pick(language, "What it says is not shown.", "内容は示されていません。").to_owned()],
        Content::Unknown(_) => {
            vec![
                pick(
                    language,
                    "It is of a kind that this program does not know.",
                    "このプログラムの知らない種類です。",
                )
                .to_owned(),
            ]
        }
        Content::Talk(Talk::Post { text }) => std::iter::once(it_says).chain(quoted(text)).collect(),
        Content::Operation(Operation::Transfer { to, amount, .. }, reason) => {
            let thanks = match language {
                English => format!("Thanks of {amount} points to the member {to}."),
                Japanese => format!("メンバー {to} への感謝、{amount} ポイント。"),
            };
            std::iter::once(thanks).chain(reason.iter().flat_map(|reason| quoted(reason))).collect()
        }
        Content::Operation(Operation::Stamp { document, .. }, note) => {
            let stamp = match language {
                English => format!("A stamp of the document {document} (BLAKE3)."),
                Japanese => format!("文書 {document} (BLAKE3) のスタンプ。"),
            };
            std::iter::once(stamp).chain(note.iter().flat_map(|note| quoted(note))).collect()
        }
        Content::Operation(operation, _) => {
            let mut shown = String::new();
            // Writing into a string does not fail.
            if write!(shown, "{operation:?}").is_err() {
                shown.clear();
            }
            std::iter::once(it_says).chain(quoted(&shown)).collect()
        }
    }
}

fn person(person: &Person, language: Language) -> Vec<String> {
    let member = format!("{}: {}", pick(language, "member", "メンバー"), person.member);
    let device = format!("{}: {}", pick(language, "device", "端末"), person.device);
    [member, device].into_iter().chain(gone(person.removed, language)).collect()
}

fn gone(removed: Option<u64>, language: Language) -> Option<String> {
    removed.map(|height| match language {
        English => format!("This member was removed at height {height}."),
        Japanese => format!("このメンバーは高さ {height} で外されました。"),
    })
}

fn trust(proven: &Proven, language: Language) -> Vec<String> {
    let (name, circle) = (one_line(&proven.circle_name), proven.circle);
    let mut lines = match (&proven.trust, language) {
        (Some(rests), _) => witnesses(rests, &name, language),
        (None, English) => vec!["the device's signatures alone; no witness is needed.".to_owned()],
        (None, Japanese) => vec!["端末の署名だけです。証人は要りません。".to_owned()],
    };
    lines.push(format!("{} \"{name}\": {circle}", pick(language, "circle", "サークル")));
    lines
}

fn witnesses(rests: &Rests, name: &str, language: Language) -> Vec<String> {
    let Rests { start, changes, newest, time, votes, witnesses } = rests;
    let at = when(newest.height, *time, language);
    let from = match (start.height, language) {
        (0, English) => format!("the witnesses of the circle \"{name}\", from its genesis on"),
        (0, Japanese) => format!("サークル「{name}」の創設以来の証人たち"),
        (height, English) => {
            format!("the witnesses of the circle \"{name}\", from the header {} at height {height} on", start.hash)
        }
        (height, Japanese) => format!("サークル「{name}」の、高さ {height} のヘッダー {} 以来の証人たち", start.hash),
    };
    match language {
        English => vec![
            format!("{from} (who votes changed {changes} times)."),
            format!("The newest header was settled {at}, by {votes} of {witnesses} votes: {}", newest.hash),
        ],
        Japanese => vec![
            format!("{from}(証人の交代 {changes} 回)。"),
            format!("最新のヘッダーは {witnesses} 票のうち {votes} 票で確定しました({at}): {}", newest.hash),
        ],
    }
}

fn limit(limit: Limit, language: Language) -> &'static str {
    let (english, japanese) = match limit {
        Limit::Circle => (
            "that this is the circle you mean: compare its id with the one you know.",
            "これがあなたの知っているサークルであること。ID を比べてください。",
        ),
        Limit::Pinned => (
            "that the header it starts from is a true one: compare its height and hash with what somebody you trust knows.",
            "出発点のヘッダーが本物であること。高さとハッシュを、信頼できる人の知っているものと比べてください。",
        ),
        Limit::SoleWitness => (
            "that no other history exists: one witness alone settled it, and could have shown others another.",
            "別の歴史が存在しないこと。証人が 1 人だけなので、他の人には別の歴史を見せることもできました。",
        ),
        Limit::Names => (
            "who the people are: a name is what a member calls themself.",
            "その人が誰であるか。名前はメンバーが自分で名乗ったものです。",
        ),
        Limit::AuthorsClock => (
            "when it was written: that is the author's word. When it was settled is the witnesses'.",
            "いつ書かれたか。それは書いた人の申告です。いつ確定したかは証人たちの言葉です。",
        ),
        Limit::Reading => (
            "that members read the same text, if author and maker of this file planned it: a body can be made to open to two texts under two keys.",
            "メンバーが同じ文章を読んだこと(書いた人とこのファイルを作った人が仕組んだ場合)。2 つの鍵で 2 つの文章に開く本文を作ることは可能です。",
        ),
        Limit::Effect => (
            "that the operation took effect: it was settled, and may have been void.",
            "操作が効力を持ったこと。確定はしましたが、無効だったかもしれません。",
        ),
        Limit::NoAuthor => ("whose device it is.", "その端末が誰のものか。"),
    };
    pick(language, english, japanese)
}

fn when(height: u64, time: u64, language: Language) -> String {
    let date = date(time);
    match language {
        English => format!("at height {height}, {date}"),
        Japanese => format!("高さ {height}、{date}"),
    }
}

fn pick<'a>(language: Language, english: &'a str, japanese: &'a str) -> &'a str {
    match language {
        English => english,
        Japanese => japanese,
    }
}

/// A moment in UTC, from milliseconds since 1970; what no calendar shows stays a number.
fn date(ms: u64) -> String {
    let (days, seconds) = (ms / 86_400_000, ms / 1_000 % 86_400);
    if days > 2_932_896 {
        return format!("{ms} ms");
    }
    // The calendar repeats every 400 years, which are 146,097 days; counted from 1 March of the year 0.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Without what controls a terminal or turns the direction of the text.
fn harmless(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

fn one_line(text: &str) -> String {
    harmless(text)
}

fn quoted(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split('\n').map(|line| format!("| {}", harmless(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399_999, "2000-02-28 23:59:59 UTC"),
            (951_868_799_000, "2000-02-29 23:59:59 UTC"),
            (951_868_800_000, "2000-03-01 00:00:00 UTC"),
            (1_795_885_418_000, "2026-11-28 17:03:38 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
            (253_402_300_799_999, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(date(ms), expected);
        }
        assert_eq!(date(253_402_300_800_000), "253402300800000 ms");
        assert_eq!(date(u64::MAX), format!("{} ms", u64::MAX));
    }

    #[test]
    fn a_strangers_text_controls_nothing() {
        let lines: Vec<String> = quoted("a\u{1b}[2J\r\nIt rests on:\u{202e}").collect();
        assert_eq!(lines, ["| a\u{fffd}[2J\u{fffd}", "| It rests on:\u{fffd}"]);
    }
}
