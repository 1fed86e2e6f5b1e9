// A peer that keeps no rule, on the first peer connection of the page that stands: every kind of wrong message, and more
// channels than are allowed. Gives how many of its channels the other side left open.
(async () => {
  const connection = made.map((one) => one.deref()).find((one) => one?.connectionState === 'connected');
  const open = (label) =>
    new Promise((done) => {
      const channel = connection.createDataChannel(label);
      channel.onopen = channel.onclose = () => done(channel);
    });
  const bytes = (...list) => Uint8Array.of(...list);
  const frame = new Uint8Array(16_000).fill(1);
  frame.set([0xfd, 0x7c, 0x12, 0xfa, 0x7c]);
  const wrong = [
    ['a text'],
    [new Uint8Array(0)],
    [bytes(0xff)],
    [bytes(0x81, 0x80, 0x01)],
    [new Uint8Array(11).fill(0xff)],
    [bytes(1, 11), bytes(2, 8, 9), bytes(0), bytes(3, 8)],
    [new Uint8Array(65_536)],
    [new Uint8Array(65_537)],
    [new Uint8Array(200_000).fill(7)],
    [bytes(2, 8, 0), bytes(2, 8, 0), frame],
    [bytes(2, 8, 2), frame, bytes(2, 8, 0)],
    [bytes(2, 8, 3), bytes(2, 8, 1)],
    [bytes(2, 120, 0), ...Array(40).fill(frame)],
    Array(500).fill(frame),
    Array(500).fill(bytes(0)),
    Array.from(frame, (byte) => bytes(byte)),
  ];
  const channels = [];
  for (const messages of wrong) {
    const channel = await open(channels.length % 2 ? '' : 'a label');
    for (const message of messages) {
      if (channel.readyState === 'open') channel.send(message);
    }
    channels.push(channel);
  }
  for (let more = 0; more < 100; more++) channels.push(await open(''));
  const left = () => channels.filter((channel) => channel.readyState === 'open').length;
  for (let tries = 0; left() > 64 && tries < 1_000; tries++) await new Promise((done) => setTimeout(done, 10));
  const found = left();
  const closed = (channel) => channel.readyState === 'closed' || new Promise((done) => (channel.onclose = done));
  for (const channel of channels) channel.close();
  await Promise.all(channels.map(closed));
  return found;
})()
