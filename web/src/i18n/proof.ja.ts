import type { Finding, Limit, NoFinding, Operation } from 'ledgerno/proof';
import { localeOf, moment } from './locale';
import type { ProofWords, Row } from './proof.en';

const locale = localeOf('ja');
const date = (time: unknown) => moment(locale, time);
const number = (n = 0) => new Intl.NumberFormat(locale).format(n);

const operations: Record<Operation, string> = {
  join: 'サークルへの参加',
  enrol: '端末の追加',
  invite: '招待の発行',
  thanks: 'ありがとう',
  revoke: '招待の取り消し',
  retire: '端末の引退',
  epoch: '鍵の交換',
  keys: '鍵の配布',
  lacking: '鍵の再配布の依頼',
  ready: '証人への立候補',
  resign: '証人の辞退',
  evidence: '証人の二重投票の証拠',
  propose: '変更の提案',
  consent: '提案への賛成',
  stamp: '文書のスタンプ',
  vouch: '文書の保証',
  merge: 'ほかの人の書き込みの確認',
};

export const proof: ProofWords = {
  proves: (found: Finding, document?: string): string => {
    const when = date(found.time);
    const who = `${found.name}さん`;
    switch (found.kind) {
      case 'stamp':
        return `${document ? `「${document}」` : 'この指紋をもつ文書'}は、${when}の時点で存在していました(スタンプが確定した時刻です)。`;
      case 'entry':
        switch (found.content) {
          case 'post':
            return `${who}がこの文章を書き、${when}に確定しました。`;
          case 'thanks':
            return `${who}が${number(found.amount)}ポイントのありがとうを書き、${when}に確定しました。`;
          case 'stamp':
            return `${who}が文書のスタンプを書き、${when}に確定しました。`;
          case 'operation':
            return `${who}が「${operations[found.operation ?? 'merge']}」を書き、${when}に確定しました。`;
          case 'unknown':
            return `${who}が、このページの知らない種類の書き込みをし、${when}に確定しました。`;
          default:
            return `${who}が書き込みをし、${when}に確定しました。内容はこのファイルに含まれていません。`;
        }
      case 'fork':
        return `${found.member ? `${who}の` : 'ある'}端末が、同じ位置に二つの異なる書き込みを署名しました(分岐)。`;
      case 'member':
        return found.removed === undefined
          ? `${who}は、${when}の時点で「${found.circleName}」のメンバーでした。`
          : `${who}は、かつて「${found.circleName}」のメンバーでしたが、${when}の時点ではメンバーではありませんでした。`;
      case 'no-member':
        return `この鍵の人は、${when}の時点で「${found.circleName}」のメンバーではありませんでした。`;
      case 'header':
        return `サークル「${found.circleName}」は、${when}に高さ${number(found.height)}まで確定していました。`;
    }
  },
  says: { post: '内容:', thanks: '理由:', stamp: '添え書き:' },

  rows: (found: Finding): Row[] => {
    const rows: (Row | false | undefined)[] = [
      { label: 'サークル', value: found.circleName },
      { label: 'サークルの番号', value: found.circle, code: true },
      !!found.name && { label: { stamp: 'スタンプした人', entry: '書いた人', fork: '端末の持ち主' }[found.kind as string] ?? 'メンバー', value: `${found.name}さん` },
      found.removed !== undefined && { label: '外された時点', value: `高さ${number(found.removed)}` },
      found.member !== undefined && { label: '本人の鍵', value: found.member, code: true },
      found.kind === 'fork' && found.device !== undefined && { label: '端末', value: found.device, code: true },
      found.seq !== undefined && { label: '端末の中での位置', value: number(found.seq) },
      found.to !== undefined && { label: '贈った相手の鍵', value: found.to, code: true },
      found.written !== undefined && { label: '書いた時刻(本人の時計による)', value: date(found.written) },
      found.kind !== 'fork' && { label: found.kind === 'entry' || found.kind === 'stamp' ? '確定' : '確定時点', value: `${date(found.time)}、高さ${number(found.height)}` },
      found.joined !== undefined && { label: '参加', value: `高さ${number(found.joined)}` },
      found.points !== undefined && { label: 'その時点のポイント', value: number(found.points) },
      found.count !== undefined && { label: '確定した書き込み', value: `${number(found.count)}件` },
      found.vouched.length > 0 && {
        label: '保証人',
        value: found.vouched.map(({ name, member, time }) => `${name ? `${name}さん` : member.slice(0, 8)}(${date(time)})`).join('、'),
      },
      found.hash !== undefined && { label: '文書の指紋', value: found.hash, code: true },
      ...(found.entries ?? []).map((value, i) => ({ label: i ? 'もう一つの書き込み' : '一つ目の書き込み', value, code: true })),
      found.entry !== undefined && { label: '書き込みの番号', value: found.entry, code: true },
    ];
    return rows.filter((row) => !!row);
  },

  rests: ({ newest, pinned, votes, witnesses, changes, kind }: Finding): string =>
    newest
      ? `${kind === 'fork' ? '分岐したことの根拠は、端末自身の二つの署名です。持ち主についての根拠は、' : '根拠は、'}${date(newest.time)}に確定した高さ${number(newest.height)}への、証人${number(witnesses)}台のうち${number(votes)}台の投票と、${pinned ? `高さ${number(pinned.height)}(${pinned.hash.slice(0, 16)}…)` : 'サークルの開設'}以来の証人たちの投票です(証人の交代: ${number(changes)}回)。`
      : '根拠は、端末自身の二つの署名です。証人の投票は要りません。',

  notSaid: '証明していないこと',
  limits: {
    circle: 'あなたの思っているサークルであること。名前は誰でも付けられます。番号を、信頼できる人と見比べてください。',
    pinned: '出発点のヘッダーが本物であること。高さとハッシュを、信頼できる人と見比べてください。',
    'sole-witness': 'ほかの歴史が存在しないこと。証人が1台だけなので、ほかの人に別の歴史を見せることもできました。',
    names: 'その人が本当は誰なのか。名前は本人が名乗ったものです。',
    'authors-clock': 'いつ書かれたか。それは書いた人の申告です。いつ確定したかは、証人たちの投票によります。',
    reading: 'メンバーも同じ文章を読んだこと。書いた人とこのファイルを作った人が示し合わせれば、二通りの文章に読める書き込みを作れます。',
    effect: '効力があったこと。確定はしましたが、無効だった可能性があります(ポイント不足など)。',
    'no-author': '誰の端末なのか、いつのことなのか。',
  } as Record<Limit, string>,

  nothing: (file: string, why: NoFinding['why'] | 'too-large'): string =>
    ({
      'no-proof-file': `${file} は証明ファイルではありません。`,
      newer: `${file} は、新しいバージョンの ledgerno で作られています。正しいかどうか、ここではわかりません。ページを再読み込みするか、作られた場所で確かめてください。`,
      damaged: `${file} は壊れています(途中で書き換わったか、途切れています)。何の証明にもなりません。もう一度もらってください。`,
      forged: `${file} は何の証明にもなりません。ファイルは完全ですが、主張が中身と合いません。作った人を信用しないでください。`,
      'too-large': `${file} は、証明ファイルにしては大きすぎます。`,
    })[why],
};
