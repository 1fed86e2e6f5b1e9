import type { Words } from 'ledgerno/proof';
import type { Facts, ProposalView, RulesView, StampView } from 'ledgerno';
import { localeOf, moment } from './locale';
import type { More } from './more.en';
import { proof } from './proof.ja';

const date = (time: unknown) => moment(localeOf('ja'), time);
const people = (names: string[]) => names.map((name) => `${name}さん`).join('、');

type WrongWords = Exclude<Words, { right: true }>;

export const ja: More = {
  allTime: '全期間',
  lastDays: (days: number) => `${days}日間`,
  noThanks: 'まだ、ありがとうは贈られていません。',
  noThanksLately: (days: number) => `この${days}日間に、ありがとうは贈られていません。`,

  stampsLead: 'スタンプは、確定したその時に、文書が一字一句そのままの形で存在していたことの証明です。',
  stampDrop: 'ファイルをドロップするか、選んでスタンプ',
  stampStays: 'ファイルは端末から出ません。サークルに残るのは名前と指紋(ハッシュ)だけです。',
  stamped: (name: string) => `スタンプしました: ${name}`,
  stampedBefore: (name: string, before: StampView) => `「${name}」はスタンプ済みです(${before.name}さん、${date(before.time)})。`,
  stampedBy: (name: string, time: number) => `${name}さん、${date(time)}`,
  vouchedBy: (names: string[]) => `${people(names)}が保証しています`,
  vouch: '保証する',
  vouchMeans: 'この文書を知っていて、間違いないと、あなたの署名で示します',
  vouched: 'あなたも保証人になりました。',
  saveProof: '証明を保存',
  proofSaved: (file: string) => `${file} を保存しました。サークルの外でも確かめられます。`,

  checkLead: 'サークルに入っていなくても、誰にも問い合わせずに確かめられます。',
  checkDrop: '.ledgerno ファイルをドロップするか、選ぶ',
  checkHere: 'この端末の中だけで確かめます。',
  proof,
  documentOther: (name: string) => `「${name}」は、スタンプされたものとは別の文書です。`,
  documentDrop: '文書も選ぶ',
  documentWhy: 'スタンプされた文書と同じかどうかがわかります',

  phraseWarning:
    'この24語を読んだ人は、いつまでも、あなたとして振る舞えます。一人のときに紙に書き写してください。写真に撮ったり、ほかの場所に入力したりしないでください。',
  phraseShow: '24語を表示',
  phraseHide: '隠す',
  phraseHow: '番号も一緒に書き写してください。この24語さえあれば、どの端末からでも、この中継サーバーで元に戻れます。',
  restoreLead: 'あなたの鍵とサークルが元に戻ります。このブラウザは、あなたの端末の一つになります。',
  restoreWords: '24語',
  restoreCount: (n: number) => `24語中 ${n}語`,
  restore: '復元する',
  restoring: '復元しています…',
  restoredAlone:
    '24語は正しいのですが、この中継サーバーにあなたのサークルはありません。サークルのある中継サーバーでページを開いてください。',
  wordsWrong: (wrong: WrongWords) =>
    wrong.why === 'unknown'
      ? `${wrong.place}番目の「${wrong.word}」は、単語表にありません。${wrong.near.length ? `もしかして: ${wrong.near.join('、')}` : ''}`
      : wrong.why === 'count'
        ? `24語必要ですが、入力されたのは${wrong.found}語です。`
        : '単語は一つずつ正しいのですが、全体が合いません。どれかが別の単語か、順序が入れ替わっています。',

  erase: '消去する',
  eraseMeans: '消去すると、全員の手元から本文が消えます。投稿があったことは残ります。すでに読んだ人は控えているかもしれません。',
  proofMeans: '誰が何を書き、いつ確定したかを証明するファイルです。受け取った人は、サークルの外でも内容を読めます。',
  forkProof: '分岐の証明を保存',
  forkProofMeans: '一つの端末が同じ位置に二つの異なる書き込みを署名したことを証明するファイルです。本文は含みません。',

  revoke: '取り消す',
  revoked: '取り消しました。確定すると、このリンクは使えなくなります。',

  deviceName: (device: { id: string; own: boolean }, i: number) => (device.own ? 'この端末' : `端末${i + 1}(${device.id.slice(0, 6)})`),
  retired: '引退済み',
  isWitness: '証人',
  retire: '引退させる',
  retireMeans: (device: string, witness: boolean) =>
    `${device}は、このサークルに二度と書けなくなり、これからの内容も読めなくなります。これまでの書き込みは残ります。${witness ? '証人でもなくなります。' : ''}`,
  remove: (name: string) => `${name}さんを外す…`,
  removeMeans: (name: string) =>
    `${name}さんは何も書けなくなり、これから書かれる内容も読めなくなります(鍵をすべて替えます)。これまでに読んだもの、書いたものは残ります。取り消しはできません。戻るには、新しい招待と新しい鍵が必要です。`,
  leaveIt: 'やめる',
  written: '書き込みました。確定すると有効になります。',

  proposeRemove: (name: string) => `${name}さんを外すよう提案する…`,

  proposes: (proposal: ProposalView) =>
    proposal.kind === 'remove'
      ? `${proposal.name}さんの提案: ${proposal.subject}さんを外す`
      : proposal.kind === 'rules'
        ? `${proposal.name}さんの提案: 決まりを変える`
        : `${proposal.name}さんの提案: ${[
            ...(proposal.promote ?? []).map((name) => `${name ? `${name}さん` : '中継サーバー'}を証人にする`),
            ...(proposal.demote ?? []).map((name) => `${name ? `${name}さん` : '中継サーバー'}を証人から外す`),
          ].join('、')}`,
  agreed: (agreed: number, needed: number) => `賛成${agreed}人(${needed}人で成立)`,
  agree: '賛成する',
  agreedSaid: '賛成しました。',

  witnessesLead: '証人は、書き込みの順序を一つに決める端末です。証人にする端末を選んでください。',
  alwaysOn: 'いつも稼働',
  notReady: 'まだ候補になっていません',
  setMeans: (size: number, quorum: number, liars: number) =>
    size === 0
      ? '証人がいないと、何も確定しません。'
      : size === 1
        ? '1台だけで確定します。速いかわりに、失われると確定が止まり、その1台を信じるほかありません。'
        : size === 2
          ? '2台は1台より不利です(両方とも起きている必要があります)。1台か、3台以上にしてください。'
          : `${size}台のうち${quorum}台の一致で確定します。${size - quorum}台までは眠っていても大丈夫です。${liars === 0 ? 'ただし、嘘をつく端末が1台でもあると守れません(4台からは1台まで守れます)。' : `${liars}台までは、嘘をついても守れます。`}`,
  setWitnesses: 'この証人にする',
  proposeWitnesses: '提案する',
  offer: 'この端末を証人の候補にする',
  resign: 'この端末は証人をやめる',
  resignMeans: '確定すると、投票しなくなります。証人が2台になると1台より不利です(両方とも起きている必要があります)。',
  lostLead: (name: string) => `確定は、この一台だけを待っています: ${name}。もう戻らないなら、これからはこの端末で確定できます。`,
  lostMeans:
    'その端末が戻らないときだけにしてください。あとで戻ってきた場合、その間にその端末だけで確定した記録は無効になり、確定し直されます。',
  lostRenew: 'この端末で確定する',
  relayTitle: '中継サーバー',
  relayLead: '中継サーバーはいつも動いているので、全員が眠っていても確定を進められます。投稿を読めないことは変わりません。',
  relayDoes: '中継サーバーが確定しています。メンバー、ポイント、スタンプはわかりますが、投稿は読めません。',
  relayIn: '中継サーバーにも確定してもらう',
  relayPropose: '中継サーバーを証人にするよう提案する',
  relayOut: '中継サーバーを証人から外す',
  relaySteps: {
    asks: '中継サーバーに頼んでいます…',
    readies: '申し出が確定するのを待っています…',
    named: '新しい証人が確定するのを待っています…',
  },
  proposed: '提案しました。開設者か、メンバーの過半数が賛成すると有効になります。',
  relaySettles: 'これからは中継サーバーが確定します。',
  relayForgot: '中継サーバーは証人でなくなり、預けた鍵も消しました。',
  ownerLink: '中継サーバーのオーナー用リンク',
  ownerLinkHint: '起動時に「owner:」と表示された行',
  goOn: '続ける',
  founderChooses: '決められるのは、開設者か、メンバーの過半数です。',

  rules: (rules: RulesView) => [
    `参加すると${rules.grant}ポイントもらえます。`,
    `毎週、贈るためのポイントが${rules.allowance}ポイントずつ届き、4週分までたまります。`,
    `証人は、確定の手間賃として週に${rules.reward}ポイントを分け合います。`,
    rules.inviters === 'members' ? 'メンバーなら誰でも招待できます。' : '招待できるのは開設者だけです。',
    'メンバーを外したり証人を替えたりできるのは、開設者か、メンバーの過半数です。',
    rules.retention
      ? `確定した書き込みを端末が保管するのは${rules.retention}日間です。自分の書き込みはずっと残り、すべては中継サーバーに残ります。`
      : 'どの端末もすべてを保管します。',
    rules.readable ? '鍵が公開されていて、誰でも読めるサークルです。' : '読めるのはメンバーだけです。',
  ],
  changeRules: '決まりを変える…',
  setRules: 'この決まりにする',
  circleId: 'サークルの番号(証明の番号と見比べるためのもの):',
  readable: '誰でも読めるサークルにする',
  readableMeans:
    '誰でも確かめられる記録のための設定です。鍵が公開されるので、中継サーバーも、写しを手にした人も、すべての名前と書き込みをいつまでも読めます。あとから変えることはできません。',
  joinReadable: 'このサークルは公開されています。写しを手にした人は誰でも、あなたの名前と書き込みをいつまでも読めます。',
  /** Errors of what is loaded on demand. */
  errors: {
    'invite-version': () =>
      'この招待リンクは別のバージョンでつくられています。ページを再読み込みしてもだめなら、最新版でリンクをつくり直してもらってください。',
    'invite-foreign': () => 'この招待は別の中継サーバーのものです。送られてきたリンクをそのまま開いてください。',
    'token-wrong': () =>
      '中継サーバーがこのオーナー用リンクを受け付けません。起動時に「owner:」と表示されたURLを開いてください。',
    'relay-full': () => '中継サーバーの空きがありません。動かしている人に空きをつくってもらってください。',
    'import-malformed': () => 'ledgerno の鍵ファイルではないか、一部が欠けています。保存した鍵ファイルを選んでください。',
    'words-wrong': () => '24語が正しくありません。',
    'occupied': () => 'このブラウザには、すでに別の鍵とサークルがあります。別のブラウザか、プライベートウィンドウでページを開いて、鍵を読み込んでください。',
    'invite-unknown': () => 'この招待はもう残っていません。新しいリンクを送ってもらってください。',
    'invite-used-up': (f: Facts) =>
      `この招待は${f.uses ? `${f.uses}回すべて` : ''}使い切られています。新しいリンクを送ってもらってください。`,
    'invite-expired': (f: Facts) =>
      `この招待は${f.expires ? `${date(f.expires)}に` : ''}期限が切れました。新しいリンクを送ってもらってください。`,
    'no-member': () => 'この人は、サークルのメンバーではありません。参加したばかりなら、確定するまでお待ちください。',
    'not-admitted': () => 'この端末はまだサークルに入っていません。メンバーに招待リンクを送ってもらってください。',
    'relay-other': () =>
      'このアドレスでは別の中継サーバーが動いています。動かしている人に確認してください。招待は作られたときの中継サーバーでしか使えないので、新しいリンクが必要かもしれません。',
    'relay-version': (f: Facts) =>
      `中継サーバーのバージョンが異なります${f.theirs ? `(相手 ${f.theirs}、このページ ${f.ours})` : ''}。ページを再読み込みしてもだめなら、中継サーバーの更新が必要です。`,
    'store-newer': () =>
      'このブラウザの記録は、新しいバージョンの ledgerno で書かれているため、そのまま残してあります。ページを再読み込みしてください。だめなら、中継サーバーの更新が必要です。',
    'settlement-renewed': (f: Facts) =>
      `この端末は失われたものとされ、いまは別の端末が確定しています。この端末だけで確定した高さ${f.height}より後の記録は、確定し直されます。書いたものは失われません。`,
    'settlement-divided': (f: Facts) =>
      `高さ ${f.height} の確定が、${f.name || 'ある友だち'}とあなたとで食い違っています。どちらかが偽物です。残高を当てにする前に、みんなの画面と見比べてください。`,
    'not-kept': () =>
      '中継サーバーがこのサークルを預かっていません。書き込みは、相手が同時に開いているときだけ届きます。中継サーバーを動かしている人に確認してください。',
    'invite-malformed': () =>
      '招待リンクが途中で切れているか、間違っています。リンク全体をコピーし直すか、もう一度送ってもらってください。',
    'store-damaged': () =>
      '保存されていたデータが壊れています(手は加えていません)。別のブラウザで開いて鍵ファイルを読み込むか、新しい招待を送ってもらってください。',
    'name-invalid': (f: Facts) => `名前は1〜${f.limit ?? 64}文字にしてください。`,
    'settlement-refused': (f: Facts) =>
      `${f.height ? `高さ ${f.height} の` : ''}確定を拒否しました。この端末で計算した結果と合いません。あなたの書き込みは無事です。サークルのみんなに知らせてください。`,
    'settlement-twice': (f: Facts) =>
      `高さ ${f.height} で、証人が食い違う二つの確定に署名しました。本物は一つだけなので、これからは何も「確定」と表示しません。書き込みはこれまでどおり届きます。サークルのみんなに知らせてください。`,
    'body-too-large': (f: Facts) =>
      `長すぎます${f.len && f.limit ? `(${f.len}バイト、上限${f.limit}バイト)` : ''}。短くするか、二つに分けてください。`,
    'store-full': () => '端末の空き容量が足りず、保存できませんでした。空きを増やしてからもう一度試してください。',
    'balance-too-low': (f: Facts) =>
      `${f.balance === undefined ? 'ポイントが足りません' : `手持ちは${f.balance}ポイントです`}。贈る数を減らしてください。`,
    'no-renewal': () => 'この端末では、まだ代わりに確定できません。できるのは、ほかの1台だけで確定しているときの、開設者の端末です。仲間のもつ記録がすべて届いている必要もあります。',
    'not-here': () => '必要な記録を取り寄せています。少し待って、もう一度お試しください。',
    'not-settled': () => 'まだ確定していません。確定してから、もう一度お試しください。',
    'no-proof': () => '証明できるものがありません。無効になったか、消されたか、書いた人がもういません。',
  },
  circleName: 'サークルの名前',
  circleNameHint: '読書会、402号室、田中家など',
  start: 'サークルをはじめる',
  starting: '準備しています…',
  localhost: (address: string) =>
    `いまのアドレスは ${address} です。あなたの鍵はこのアドレスに結びつくので、別のアドレスで開くと別人として扱われます。また、友だちの端末からはこのアドレスに届きません。友だちを招くなら、先に中継サーバーを公開アドレスで起動してください。`,
  ruleNames: {
    grant: '参加したときのポイント',
    allowance: '毎週贈れるポイント',
    reward: '証人全員で分け合う週のポイント',
    retention: '端末が確定済みの記録を保管する日数(0はずっと)',
    inviters: '招待できる人',
  },
  ruleInviters: { members: 'メンバー全員', founder: '開設者だけ' },
  rulesPropose: '開設者か、メンバーの過半数が賛成すると有効になります。',
  changeKeys: '鍵をすべて替える',
  changeKeysMeans: '招待リンクを見られたなどで、メンバーでない人に鍵が渡ったときに使います。鍵を替えると、その人はこれから書かれる内容を読めません。',
  role: {
    light: 'この端末の役割: 軽量ノード。読み書きをし、投票はほかの端末がします。',
    witness: 'この端末の役割: 証人。確定の投票をします。',
  },

  linkedDirectly: '相手の端末と直接つながっています。中継サーバーが止まっても、このまま続けられます。',
  linkedBy: (by: string) => `やり取りは${by ? `${by}さん` : '中継サーバー'}を経由します。封をしてあるので、途中の誰にも読めません。`,
  relayNode: '中継',
  triedAt: (way, time) =>
    way === 'direct' ? `直接の接続を最後に試したのは${time}です。` : `ほかを経由する接続を最後に試したのは${time}です。`,
  noWebRtc: 'このブラウザは直接つながれません。WebRTC がないか、無効になっています。最新の Chrome、Edge、Firefox、Safari ならつながれます。',
  heardOf: '相手の端末のことはサークルを通じて伝わっていますが、いまは端末どうしの接続がありません。書き込みは、ほかの参加者を通じて届きます。',
  theCircle: 'サークル',
  linkWhy: {
    'not-there': 'いまは、中継サーバーを通しても友だちを通しても、相手の端末に届きません。自動でまた試します。',
    'not-admitted': '経由する相手が、あなたがメンバーであることをまだ知りません。あなたの書き込みが届けば解消します。',
    busy: '経由する相手が混み合っています。自動でまた試します。',
    'no-answer': '時間内に応答がありませんでした。相手の端末が休止しているか、回線が遅いのかもしれません。自動でまた試します。',
    unsupported: '相手のブラウザが直接の接続に対応していません。最新の Chrome、Edge、Firefox、Safari なら対応しています。',
    refused: 'ブラウザが直接の接続を拒みました。拡張機能や設定で WebRTC が止められているかもしれません。',
    'no-way':
      'お互いのネットワークの都合で、直接つながれません。同じ Wi-Fi ならつながります。離れた場所では、中継サーバーの管理者が TURN サーバーを用意すればつながります。それまでも、ほかを経由してそのまま使えます。',
    'given-up': '相手の端末が直接の接続を試みましたが、つながりませんでした。自動でまた試します。',
    broken: '接続の途中で切れました。自動でまた試します。',
  },

  keep: 'この端末に残すもの',
  kept: { all: 'サークルの決まりどおり', 30: '直近30日分', 0: '新しいものだけ' },
  keepMeans:
    'この端末から消すのは、中継サーバーにも保管されているものだけで、少しずつ進みます。さかのぼれば、また表示されます。自分の書き込みは残ります。',
};
