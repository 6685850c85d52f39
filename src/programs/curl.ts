/** curl, plain HTTP: the options that guides use; exit statuses and words are curl's. */

import { readOptions } from './arguments.js';
import { fetchHttp, readUrl } from './http-client.js';
import { Exit, MILLISECOND, now, type Process, SECOND } from './process.js';
import { isIpv4, isIpv6, lookUp } from './resolve.js';
import type { Steps } from './steps.js';

const REDIRECTS = 50;

/** A head as `-v` shows it, the empty line behind it included. */
function quoted(mark: string, head: string): string {
  return [...head.split('\r\n'), ''].map((line) => `${mark}${line}\n`).join('');
}

export function* curl(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  const options = readOptions('curl', args, {
    short: 'sSo:OIivfLkX:H:d:m:w:A:46Nu:b:e:',
    long: [
      'silent',
      'show-error',
      'output=',
      'head',
      'include',
      'verbose',
      'fail',
      'location',
      'request=',
      'header=',
      'data=',
      'max-time=',
      'connect-timeout=',
      'write-out=',
      'user-agent=',
      'insecure',
      'no-buffer',
      'user=',
      'cookie=',
      'referer=',
      'retry=',
      'retry-connrefused',
      'retry-delay=',
      'ipv4',
      'ipv6',
    ],
  });
  const on = (letter: string, word: string) => options.has(letter) || options.has(word);
  const value = (letter: string, word: string) => options.value(letter) ?? options.value(word);
  const [first] = options.operands;
  if (first === undefined) throw new Exit(2, "curl: try 'curl --help' or 'curl --manual' for more information");
  const silent = on('s', 'silent');
  const fail = (status: number, words: string): Exit =>
    new Exit(status, silent && !on('S', 'show-error') ? '' : `curl: (${status}) ${words}`);
  const { stdout, stderr, machine } = process;
  let target = first;
  for (let hops = 0; hops <= REDIRECTS; hops++) {
    const url = readUrl(target);
    if (!url) throw fail(1, `Protocol "${target.split(':')[0]}" not supported or disabled in libcurl`);
    const started = now(process);
    let address = url.host;
    if (!isIpv4(address) && !isIpv6(address)) {
      const [found] = yield* lookUp(process, url.host, on('4', 'ipv4') ? 4 : on('6', 'ipv6') ? 6 : 0);
      if (found === undefined) throw fail(6, `Could not resolve host: ${url.host}`);
      address = found;
    }
    const data = value('d', 'data');
    const method = value('X', 'request') ?? (on('I', 'head') ? 'HEAD' : data === undefined ? 'GET' : 'POST');
    const host = url.port === 80 ? url.host : `${url.host}:${url.port}`;
    const header = value('H', 'header');
    const request = [
      `${method} ${url.path} HTTP/1.1`,
      ...(header && /^host:/i.test(header) ? [] : [`Host: ${host}`]),
      `User-Agent: ${value('A', 'user-agent') ?? 'curl/7.88.1'}`,
      'Accept: */*',
      ...(header === undefined ? [] : [header]),
      ...(data === undefined
        ? []
        : [`Content-Length: ${data.length}`, 'Content-Type: application/x-www-form-urlencoded']),
      '',
      data ?? '',
    ].join('\r\n');
    const verbose = on('v', 'verbose');
    if (verbose) stderr.write(`*   Trying ${address}:${url.port}...\n`);
    const limit = value('m', 'max-time') ?? options.value('connect-timeout');
    const fetched = yield* fetchHttp(process, { address, port: url.port }, new TextEncoder().encode(request), {
      headOnly: method === 'HEAD',
      ...(limit === undefined ? {} : { patience: Number(limit) * SECOND }),
      onConnect: () => {
        if (!verbose) return;
        stderr.write(`* Connected to ${url.host} (${address}) port ${url.port} (#0)\n`);
        stderr.write(quoted('> ', request.split('\r\n\r\n')[0] ?? ''));
      },
    });
    const took = Math.round((now(process) - started) / MILLISECOND);
    if (fetched.kind !== 'response') {
      if (fetched.kind === 'timeout')
        throw fail(
          28,
          limit === undefined
            ? `Failed to connect to ${url.host} port ${url.port} after ${took} ms: Couldn't connect to server`
            : `Connection timed out after ${took} milliseconds`,
        );
      if (fetched.kind === 'empty') throw fail(52, 'Empty reply from server');
      if (fetched.kind === 'reset') throw fail(56, 'Recv failure: Connection reset by peer');
      throw fail(7, `Failed to connect to ${url.host} port ${url.port} after ${took} ms: Couldn't connect to server`);
    }
    const { response } = fetched;
    if (verbose) {
      stderr.write(quoted('< ', response.head.replace(/\r\n\r\n$/, '')));
      if (!silent && response.body.length > 0) stderr.write(`{ [${response.body.length} bytes data]\n`);
      stderr.write('* Closing connection 0\n');
    }
    const location = response.headers.get('location');
    if (on('L', 'location') && response.status >= 300 && response.status < 400 && location) {
      target = location.startsWith('/') ? `http://${host}${location}` : location;
      continue;
    }
    if (on('f', 'fail') && response.status >= 400)
      throw fail(22, `The requested URL returned error: ${response.status}`);
    const output = value('o', 'output');
    const shown = on('I', 'head') || on('i', 'include') ? response.head : '';
    if (output === undefined && !options.has('O')) {
      stdout.write(shown);
      stdout.write(response.body);
    } else if (output !== '/dev/null') {
      const name = output ?? (url.path.split('?')[0]?.split('/').pop() || 'curl_response');
      machine.files.write(name.startsWith('/') ? name : `/${name}`, shown + new TextDecoder().decode(response.body));
    }
    const format = value('w', 'write-out');
    if (format !== undefined) {
      stdout.write(
        format
          .replaceAll('%{http_code}', String(response.status))
          .replaceAll('%{remote_ip}', address)
          .replaceAll('%{time_total}', ((now(process) - started) / SECOND).toFixed(6))
          .replaceAll('\\n', '\n'),
      );
    }
    return 0;
  }
  throw fail(47, `Maximum (${REDIRECTS}) redirects followed`);
}
