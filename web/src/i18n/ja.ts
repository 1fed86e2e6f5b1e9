import type { EntryView, Feature, MemberView, PeerView } from 'ledgerno';
import type { Words } from './en';
import { localeOf, moment } from './locale';

const locale = localeOf('ja');
const date = (time: unknown) => moment(locale, time);

const features: Partial<Record<Feature, string>> = {
  persist: 'データ保持の約束',
  clipboard: 'ワンタッチのコピー',
};

export const ja: Words = {
  language: '言語',
  tagline: '友だちどうしで支えあう台帳',

  loading: 'ノードを読み込んでいます',
  loaded: (kb: number) => `${kb} KB`,
  openingStore: '台帳を開いています',
  connecting: '接続しています',
  retry: 'もう一度試す',
  noStart: '開始できませんでした',

  startTitle: 'サークルをつくる',
  startLead: 'サークルの名前と、あなたの名前を決めてください。友だちを招くリンクがすぐにできます。',
  yourName: 'あなたの名前',
  yourNameHint: '友だちからの呼び名',

  joinTitle: (name: string) => `「${name}」に参加する`,
  joinBy: (by: string) => `${by}さんからの招待です。`,
  joinLeft: (left: number, expires: number) => `あと${left}人まで、${date(expires)}まで使えます。`,
  joinAsking: '招待を確認しています…',
  join: '参加する',
  joining: '参加しています…',
  backToCircle: '自分のサークルに戻る',

  welcomeTitle: '招待リンクが必要です',
  welcomeLead:
    'サークルに入れるのは、メンバーに招かれた人だけです。このサークルを教えてくれた人に、招待リンクを送ってもらってください。リンクはこのような形です。',
  welcomeHost: 'この中継サーバーを動かしているのがあなた自身なら、起動時に「owner:」と表示されたURLを開いてください。',
  haveKey: 'ほかの端末で保存した鍵ファイルがある',

  otherTabTitle: '別のタブで開いています',
  otherTabLead: 'このブラウザの別のタブがノードとして動いています。書き込みが食い違わないように、動かせるのは一つだけです。',
  takenOverTitle: '別のタブに切り替わりました',
  takenOverLead: '別のタブが引き継ぎました。失われたものはありません。',
  takeOver: 'このタブで使う',

  timeline: 'タイムライン',
  circle: 'サークル',
  compose: 'サークルのみんなに書く',
  post: '投稿',
  postKeys: (key: string) => `${key} + Enter で投稿`,
  showOlder: '以前の書き込みを表示',
  keptElsewhere: (count: number) => `以前の書き込み${count}件は、この端末ではなく中継サーバーが保管しています。`,
  newEntries: '新しい書き込みがあります',
  emptyTitle: 'まだ何もありません。',
  emptyLead: '最初のひとことを書くか、友だちに招待リンクを送りましょう。',
  emptyInvite: '友だちを招待する',
  today: '今日',
  yesterday: '昨日',
  joinedLine: (name: string) => `${name}さんが参加しました`,
  invitedLine: (name: string) => `${name}さんが招待リンクをつくりました`,
  deviceLine: (name: string) => `${name}さんが端末を追加しました`,
  deeds: {
    stamp: (name, note) => `${name}さんが${note ? `「${note}」` : '文書'}をスタンプしました`,
    vouch: (name) => `${name}さんが文書を保証しました`,
    offer: (name) => `${name}さんが端末を証人の候補にしました`,
    enlist: (name) => `${name}さんが中継サーバーに確定の手伝いを頼みました`,
    resign: (name) => `${name}さんの端末が証人をやめました`,
    witnesses: (name) => `${name}さんが証人を選びました`,
    remove: (name) => `${name}さんがメンバーの退会を求めました`,
    rules: (name) => `${name}さんが別の決まりを選びました`,
    consent: (name) => `${name}さんが提案に賛成しました`,
    retire: (name) => `${name}さんが端末を引退させました`,
    revoke: (name) => `${name}さんが招待を取り消しました`,
  },
  erasedLine: (name: string) => `${name}さんの投稿(本人が消去しました)`,
  about: 'この書き込みについて',
  sealedLine: (name: string) => `${name}さんの書き込み(この端末ではまだ開けません)`,
  thankedLine: (from: string, to: string) => `${from}さんから\u200b${to}さんへ、\u200bありがとう`, // may break at these places
  amountLabel: (amount: number) => `${amount}ポイント`,
  status: ({ status, seenBy }: Pick<EntryView, 'status' | 'seenBy'>) =>
    ({ here: 'この端末のみ', sent: '送信済み', seen: seenBy ? `${seenBy}人に届いた` : '届いた', settled: '確定' })[status],
  meaning: {
    here: 'この端末のみ: 保存済みで、まだ送信していません',
    sent: '送信済み: ほかのノードも保存しています',
    seen: '届いた: その人数の友だちが受け取っています',
    settled: '確定: 全員の手元で同じになりました',
  },
  notCounted: (reason: string) => `無効: ${reason}`,
  voids: {
    'not-member': '書いた人がメンバーではありません',
    'already-member': 'すでにメンバーです',
    'unknown-invite': '招待が見つかりません',
    'invite-known': 'この招待はすでに登録されています',
    'invite-used-up': '招待の回数を使い切っていました',
    'invite-expired': '招待の期限が切れていました',
    'branch-not-counted': '同じ端末の以前の書き込みと食い違っています',
    unreadable: '読み取れません',
    'balance-too-low': 'ポイントが足りませんでした',
    'amount-zero': 'ポイントが指定されていません',
    'unknown-receiver': '相手がメンバーではありません',
    'not-allowed': '許可されていません',
    'out-of-range': '数が大きすぎます',
    'invite-revoked': '招待は取り消されていました',
    removed: '書いた人は外されたか、端末が引退しています',
    unknown: '対象が見つかりません',
    already: 'すでに行われています',
    'epoch-passed': 'その間に鍵が替わりました',
    'not-ready': '端末が最近、候補になっていません',
    'last-witness': '証人がいなくなってしまいます',
    'no-evidence': '証拠になりません',
  },

  you: 'あなた',
  yourPoints: 'あなたのポイント',
  allowance: (n: number) => (n === 0 ? '今週の贈る分は、いまありません' : `ほかに、今週贈れる分が${n}ポイント`),
  thank: 'ありがとうを贈る',
  thanksTo: '相手',
  thanksChoose: '相手を選ぶ',
  thanksAmount: 'ポイント',
  thanksReason: '何のお礼?',
  thanksSend: '贈る',
  thanksSent: 'ありがとうを贈りました。',
  thanksAlone: '友だちが参加すると、ここからお礼を贈れます。',
  members: 'メンバー',
  online: 'オンライン',
  offline: 'オフライン',
  founder: '開設者',
  forked: '分岐: このメンバーの端末が、同じ位置に二つの書き込みをしました',
  memberWaiting: '確定待ち',
  memberVoid: ({ void: why }: MemberView) => (why === 'removed' ? '外されました' : `参加できていません: ${ja.voids[why ?? ''] ?? why}`),
  peers: '接続中',
  nobody: 'いまは誰ともつながっていません。',
  proposals: '決めること',
  ranking: 'ランキング',
  stamps: 'スタンプ',
  thisDevice: 'この端末',
  more: (name: string) => `${name}さんの詳細`,
  path: (path: PeerView['path']) => ({ direct: '直接', relayed: '中継サーバー経由', relay: '中継サーバー' })[path],
  since: (time: string) => `${time}から`,

  invite: '招待',
  inviteBad: 'この招待は使えません',
  inviteLead: 'このリンクを開いた人は誰でも参加できます。招きたい人にだけ送ってください。',
  inviteLink: '招待リンク',
  copy: 'コピー',
  copied: 'コピーしました',
  share: '共有',
  qr: '招待リンクのQRコード',
  showQr: 'QRコード',
  inviteLeft: (left: number, uses: number) => `残り${left}回(全${uses}回)`,
  inviteUntil: (expires: number) => `${date(expires)}まで`,
  inviteOthers: (n: number) => `以前のリンクも${n}件有効です。`,
  inviteLive: '有効なリンク',
  inviteNone: '有効な招待リンクはありません。',
  inviteNew: '新しいリンク',
  inviteUses: '回数',
  inviteDays: '日数',

  settlement: '確定した記録',
  settlementLead: '確定した内容は、順序も残高も全員の手元で同じになります。',
  height: '高さ',
  unsettled: '確定待ち',
  unsettledCount: (n: number) => (n === 0 ? 'なし' : `${n}件`),
  witnesses: '証人',
  witnessAlways: 'いつも稼働',
  settlesBy: (quorum: number, all: number) => (all === 1 ? '1台だけで確定します。' : `${all}台のうち${quorum}台の一致で確定します。`),
  waitsFor: (missing: number, all: number, names: string[]) => `${all}台のうち、あと${missing}台を待っています: ${names.join(missing < names.length ? 'または' : '、')}`,
  changeWitnesses: '証人を選ぶ',
  rules: 'サークルの決まり',
  stateRoot: '状態',
  headerHash: 'ヘッダー',
  entriesCount: '書き込み',

  identity: 'あなたの鍵',
  identityLead: 'あなたの鍵は、このブラウザの中にしかありません。端末をなくしても困らないように、控えを保存しておきましょう。',
  identityWarning: 'このファイルを持つ人は、あなたとして振る舞えます。家の鍵のように大切に保管してください。',
  checkProof: '証明ファイルを確かめる',
  phrase: '24語を見る',
  restore: '24語で復元する',
  exportKey: '鍵ファイルを保存',
  imported: '鍵を読み込みました。',
  kept: 'このブラウザはデータを消さずに保持します。',
  notKept: '空き容量が減ると、ブラウザがデータを消すことがあります。鍵ファイルを保存しておいてください。',
  newCircle: '別のサークルをつくる',
  switchCircle: 'サークル',

  relayState: { connecting: '接続中…', connected: '接続済み', off: '中継サーバーに届きません' },
  relayOff: '中継サーバーに届かないため、つなぎ直しています。書き込みは続けられます。復旧するまでこの端末に保存されます。',
  syncing: '最新の内容を取り込んでいます…',
  missing: (missing: Feature[]) =>
    `このアドレスは安全な接続(https)ではないため、${missing.map((f) => features[f] ?? f).join('、')}は使えませんが、それ以外は問題なく使えます。`,
  dismiss: '閉じる',

  errors: {
    'invite-malformed': () =>
      '招待リンクが途中で切れているか、間違っています。リンク全体をコピーし直すか、もう一度送ってもらってください。',
    'relay-unreachable': () =>
      '中継サーバーに届きません。通信環境を確かめるか、動かしている人に確認してから、もう一度試してください。',
    'relay-other': () =>
      'このアドレスでは別の中継サーバーが動いています。動かしている人に確認してください。招待は作られたときの中継サーバーでしか使えないので、新しいリンクが必要かもしれません。',
    'relay-version': (f) =>
      `中継サーバーのバージョンが異なります${f.theirs ? `(相手 ${f.theirs}、このページ ${f.ours})` : ''}。ページを再読み込みしてもだめなら、中継サーバーの更新が必要です。`,
    'body-too-large': (f) =>
      `長すぎます${f.len && f.limit ? `(${f.len}バイト、上限${f.limit}バイト)` : ''}。短くするか、二つに分けてください。`,
    'store-full': () => '端末の空き容量が足りず、保存できませんでした。空きを増やしてからもう一度試してください。',
    'store-blocked': () =>
      'ブラウザがこのページの保存を許可していません。プライベートモードをやめるか、サイトデータを許可して、再読み込みしてください。',
    'store-damaged': () =>
      '保存されていたデータが壊れています(手は加えていません)。別のブラウザで開いて鍵ファイルを読み込むか、新しい招待を送ってもらってください。',
    'name-invalid': (f) => `名前は1〜${f.limit ?? 64}文字にしてください。`,
    'amount-invalid': () => 'ポイントは1以上の整数にしてください。',
    'balance-too-low': (f) =>
      `${f.balance === undefined ? 'ポイントが足りません' : `手持ちは${f.balance}ポイントです`}。贈る数を減らしてください。`,
    'settlement-refused': (f) =>
      `${f.height ? `高さ ${f.height} の` : ''}確定を拒否しました。この端末で計算した結果と合いません。あなたの書き込みは無事です。サークルのみんなに知らせてください。`,
    'settlement-twice': (f) =>
      `高さ ${f.height} で、証人が食い違う二つの確定に署名しました。本物は一つだけなので、これからは何も「確定」と表示しません。書き込みはこれまでどおり届きます。サークルのみんなに知らせてください。`,
    'settlement-divided': (f) =>
      `高さ ${f.height} の確定が、${f.name || 'ある友だち'}とあなたとで食い違っています。どちらかが偽物です。残高を当てにする前に、みんなの画面と見比べてください。`,
    'settlement-renewed': (f) =>
      `この端末は失われたものとされ、いまは別の端末が確定しています。この端末だけで確定した高さ${f.height}より後の記録は、確定し直されます。書いたものは失われません。`,
    'not-kept': () =>
      '中継サーバーがこのサークルを預かっていません。書き込みは、相手が同時に開いているときだけ届きます。中継サーバーを動かしている人に確認してください。',
    'store-newer': () =>
      'このブラウザの記録は、新しいバージョンの ledgerno で書かれているため、そのまま残してあります。ページを再読み込みしてください。だめなら、中継サーバーの更新が必要です。',
    'other-tab': () => 'このブラウザの別のタブで開いています。そちらを閉じるか、このタブに切り替えてください。',
    busy: () => '処理が混み合っています。少し待ってからもう一度試してください。',
    internal: (f) => `予期しない問題が起きました。ページを再読み込みしてください。${f.detail ? `(${f.detail})` : ''}`,
  },
};
