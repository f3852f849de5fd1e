<?php

declare(strict_types=1);

namespace Stockade\Tests;

use Closure;
use PHPUnit\Framework\TestCase;
use SensitiveParameter;
use Stockade\Exception\Internal;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\Misuse;
use Stockade\Exception\StockadeException;
use Stockade\Exception\Unauthorized;
use Stockade\Exception\Unavailable;
use Stockade\Http\HttpClient;

require_once '/usr/share/php/Psr/Log/autoload.php';

/** A running engine that is down, slow, killed, restarted, or none: each call ends, and is executed once. */
final class HttpFaultsTest extends TestCase
{
    private const QUICK = ['remote_timeout' => '600ms', 'remote_reconnect' => '200ms'];

    protected function setUp(): void
    {
        // Traces show arguments, as without a php.ini.
        ini_set('zend.exception_ignore_args', '0');
    }

    /** @return iterable<string, array{string}> */
    public static function nowhere(): iterable
    {
        yield 'no socket file' => ['unix:///nowhere/at.all'];
        yield 'no port' => ['http://:hush@127.0.0.1:1'];
        yield 'no host' => ['http://:hush@nowhere.invalid:80'];
        yield 'no TLS' => ['https://:hush@127.0.0.1:1'];
    }

    /** @dataProvider nowhere */
    public function testAnEngineThatIsDownIsUnavailable(#[SensitiveParameter] string $url): void
    {
        [$error, $seconds] = self::timed(fn () => HttpClient::open($url, self::QUICK)->createHold(1, 1));
        self::assertInstanceOf(Unavailable::class, $error);
        self::assertStringContainsString('cannot be reached', $error->getMessage());
        self::assertStringContainsString('create_hold was not executed', $error->getMessage());
        self::assertStringNotContainsString('hush', (string) $error);
        self::assertSame(2.0, $error->retryAfter);
        self::assertLessThan(2.5, $seconds);
    }

    /** @return iterable<string, array{string, class-string<StockadeException>, string}> */
    public static function oddServers(): iterable
    {
        $problem = static fn (string $code): string => json_encode(['code' => $code, 'message' => 'why'], 4);
        yield 'silent' => ['silent', Unavailable::class, 'no response within 0.6s; create_hold may have been'];
        yield 'drip' => ['drip', Unavailable::class, 'no response within 0.6s; create_hold may have been'];
        yield 'half' => ['half', Unavailable::class, 'create_hold may have been executed'];
        yield 'closes' => ['raw', Unavailable::class, 'create_hold may have been executed'];
        yield 'no HTTP' => ['raw SSH-2.0-OpenSSH_9.2\r\n', Internal::class, 'the response is no HTTP'];
        yield 'huge' => ['huge', Internal::class, 'the response is too long'];
        foreach (
            [
                'empty' => '',
                'HTML' => '<html>',
                'null' => 'null',
                'a number' => '7',
                'nothing' => '{}',
                'no result' => '{"Ok":null}',
                'another call' => '{"Ok":{"create_order":{}}}',
                'no fields' => '{"Ok":{"create_hold":{"value":{},"replayed":false}}}',
                'wrong kinds' => '{"Ok":{"create_hold":{"value":{"id":"x"},"replayed":false}}}',
                'an error without a code' => '{"Err":{}}',
                'deep' => str_repeat('[', 1_000),
            ] as $name => $body
        ) {
            yield $name => ["200 {$body}", Internal::class, 'cannot parse the response to create_hold'];
        }
        yield 'unknown code' => ['200 {"Err":{"code":"new","message":"why"}}', Internal::class, 'why'];
        yield '401' => ['401 ' . $problem('unauthorized'), Unauthorized::class, 'why'];
        yield '403' => ['403 ' . $problem('forbidden'), Unauthorized::class, 'why'];
        yield '404' => ['404 ' . $problem('not_found'), Internal::class, 'create_hold was answered with 404'];
        yield '408' => ['408 ', Unavailable::class, 'create_hold was answered with 408'];
        yield '413' => ['413 ' . $problem('invalid_argument'), Internal::class, 'answered with 413'];
        yield '502' => ['502 <html>', Unavailable::class, 'create_hold was answered with 502'];
        yield '503' => ['503 ' . $problem('contention'), \Stockade\Exception\Contention::class, 'why'];
        yield 'redirect' => ['301 ', Internal::class, 'answered with 301'];
    }

    /**
     * @dataProvider oddServers
     * @param class-string<StockadeException> $class
     */
    public function testAServerThatIsNoStockadeEndsInAClearException(string $how, string $class, string $why): void
    {
        $seen = (string) tempnam(sys_get_temp_dir(), 'stockade');
        try {
            $odd = new Helper('odd', [$how, $seen]);
            $client = HttpClient::open("http://:hush@{$odd->address}", self::QUICK);
            [$error, $seconds] = self::timed(fn () => $client->createHold(1, 1));
            self::assertInstanceOf($class, $error);
            self::assertStringContainsString($why, $error->getMessage());
            self::assertStringNotContainsString('hush', (string) $error);
            self::assertLessThan(2.0, $seconds);
            self::assertStringContainsString('Authorization: Bearer hush', (string) file_get_contents($seen));
        } finally {
            unlink($seen);
        }
    }

    /** @return iterable<string, array{Closure(HttpClient): mixed, string, int}> */
    public static function lostResponses(): iterable
    {
        yield 'hold' => [fn (HttpClient $c) => $c->createHold(1, 1), 'create_hold', 1];
        yield 'keyed hold' => [fn (HttpClient $c) => $c->createHold(1, 1, key: 'k'), 'create_hold', 1];
        yield 'cart' => [fn (HttpClient $c) => $c->createHolds([[1, 2]]), 'create_holds', 2];
        yield 'batch' => [
            fn (HttpClient $c) => $c->createHoldBatch(array_fill(0, 3, new \Stockade\HoldRequest(1, 1))),
            'create_hold_batch',
            3,
        ];
    }

    /** @dataProvider lostResponses */
    public function testALostResponseMeansOneExecution(Closure $call, string $name, int $held): void
    {
        foreach (['unix', 'tcp'] as $transport) {
            $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
            $direct = HttpClient::open($running->url);
            $direct->createProduct('Lamp', '1', 100);
            [$proxy, $url] = self::cutting($running, $transport, "{\"Ok\":{\"{$name}\"", 2);
            $log = new MemoryLogger();
            $client = HttpClient::open($url, [], $log);
            // The connection is kept, which lets libcurl try again by itself.
            $client->ping();
            $call($client);
            self::assertSame($held, $direct->product(1)->held, $transport);
            self::assertCount(2, preg_grep('/^warning/', $log->lines), implode("\n", $log->lines));
            self::assertStringContainsString('stockade_remote_retries_total 2', $client->metricsText());
            self::assertTrue($direct->audit()->consistent);
            unset($proxy);
        }
    }

    public function testTlsIsVerified(): void
    {
        $pem = (string) tempnam(sys_get_temp_dir(), 'stockade');
        shell_exec('openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test'
            . " -addext subjectAltName=IP:127.0.0.1 -keyout {$pem} -out {$pem}.crt 2>/dev/null"
            . "; cat {$pem}.crt >>{$pem}");
        $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
        preg_match('#^http://(:.*@)(.*)$#', $running->tcp, $found);
        $proxy = new Helper('cut', ['tls://127.0.0.1:0', "tcp://{$found[2]}", '"Ok":{"create_hold"', '1', $pem]);
        try {
            $client = HttpClient::open("https://{$found[1]}{$proxy->address}", ['remote_ca' => "{$pem}.crt"]);
            $client->createProduct('Lamp', '1', 5);
            $client->createHold(1, 1);
            self::assertSame(1, $client->product(1)->held);
            [$error, $seconds] = self::timed(fn () => HttpClient::open("https://{$proxy->address}")->ping());
            self::assertInstanceOf(InvalidArgument::class, $error);
            self::assertStringContainsString('the setting remote_ca', $error->getMessage());
            self::assertLessThan(2.0, $seconds);
        } finally {
            unlink($pem);
            unlink("{$pem}.crt");
        }
        foreach ([['remote_ca' => '/nowhere'], ['remote_timeout' => 0], ['hold_ttl' => '1s'], ['odd' => 1]] as $wrong) {
            [$error] = self::timed(fn () => HttpClient::open('https://localhost', $wrong));
            self::assertInstanceOf(InvalidArgument::class, $error);
        }
    }

    public function testARestartedEngineIsFoundAgain(): void
    {
        $place = Place::file();
        $program = (string) getenv('STOCKADE_SERVER');
        foreach (['url', 'tcp'] as $transport) {
            $running = new Running($program, $place->store);
            $client = HttpClient::open($running->$transport, ['remote_reconnect' => '10s']);
            $product = $client->createProduct('Lamp', '1', 10)->id;
            $running->kill();
            // Comes back while the call waits.
            $again = $running->restartAfter(300_000);
            self::assertSame(1, $client->createHold($product, 1)->quantity);
            self::assertSame(1, $client->product($product)->held);
            // The one that was idle meanwhile notices as well.
            $again->kill();
            $third = $again->restartAfter(0);
            self::assertSame(2, $client->createHold($product, 2)->quantity);
            self::assertSame(3, $client->product($product)->held);
            $third->kill();
        }
    }

    public function testALongRequestIsRejectedBeforeItIsSent(): void
    {
        $client = HttpClient::open('unix:///nowhere/at.all', self::QUICK);
        $this->expectException(InvalidArgument::class);
        $this->expectExceptionMessage('a request has at most 1047552 bytes');
        $client->createHold(1, 1, key: str_repeat('k', 1 << 20));
    }

    public function testALargeBatchIsSentInParts(): void
    {
        $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
        $client = HttpClient::open($running->url);
        $client->createProduct('Lamp', '1', 2_500);
        $results = $client->createHoldBatch(array_fill(0, 2_600, new \Stockade\HoldRequest(1, 1)));
        $errors = array_filter($results, static fn ($result): bool => $result->error !== null);
        self::assertSame([2_600, 100], [count($results), count($errors)]);
        self::assertSame(2_500, $client->product(1)->held);
    }

    public function testAWrongKeyIsUnauthorizedAndALogHasNoSecret(): void
    {
        $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
        $log = new MemoryLogger();
        $client = HttpClient::open($running->tcp, [], $log);
        $client->createProduct('Lamp', '1', 5);
        $hold = $client->createHold(1, 1, customer: 'ada@example.com');
        $client->releaseHold($hold->id, $hold->token);
        $lines = implode("\n", $log->lines);
        foreach ([$hold->token, 'ada', 'a key', rawurlencode('a key')] as $secret) {
            self::assertStringNotContainsString($secret, $lines);
        }
        self::assertStringContainsString('"call":"create_hold"', $lines);
        $wrong = HttpClient::open((string) preg_replace('#//:.*@#', '//:hush@', $running->tcp), [], $log);
        [$error] = self::timed(fn () => $wrong->ping());
        self::assertInstanceOf(Unauthorized::class, $error);
        self::assertStringNotContainsString('hush', $error . implode("\n", $log->lines));
    }

    public function testADumpHasNoSecret(): void
    {
        $client = HttpClient::open('http://:hush@127.0.0.1:1');
        ob_start();
        var_dump($client, (array) $client);
        print_r($client);
        @var_export($client);
        $dump = (string) ob_get_clean();
        self::assertStringNotContainsString('hush', $dump);
        self::assertSame(['closed' => false], $client->__debugInfo());
    }

    public function testTheTraceIsPassedOn(): void
    {
        $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
        $seen = (string) tempnam(sys_get_temp_dir(), 'stockade');
        $odd = new Helper('odd', ['200 {"Ok":{"ping":null}}', $seen]);
        try {
            HttpClient::open("http://{$odd->address}", [], null, static fn (): string => $trace)->ping();
            $_SERVER['HTTP_TRACEPARENT'] = strtr($trace, '7', '8');
            $client = HttpClient::open("http://{$odd->address}");
            $client->ping();
            $_SERVER['HTTP_TRACEPARENT'] = "no trace\r\nX: y";
            $client->ping();
            $requests = explode('{"request"', (string) file_get_contents($seen));
            self::assertStringContainsString("traceparent: {$trace}\r\n", $requests[0]);
            self::assertStringContainsString('traceparent: ' . strtr($trace, '7', '8'), $requests[1]);
            self::assertStringNotContainsString('trace', $requests[2]);
        } finally {
            unset($_SERVER['HTTP_TRACEPARENT']);
            unlink($seen);
        }
    }

    public function testAClosedClientIsMisuse(): void
    {
        $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
        $client = HttpClient::shared($running->url);
        $clerk = $client->actingAs('clerk');
        $clerk->ping();
        $clerk->close();
        $client->close();
        $calls = [fn () => $client->ping(), fn () => $clerk->createHoldBatch([]), fn () => $client->metricsText()];
        foreach ($calls as $call) {
            [$error] = self::timed($call);
            self::assertInstanceOf(Misuse::class, $error);
            self::assertSame('the engine is closed', $error->getMessage());
        }
        // The process's connection is still there for another client.
        $other = HttpClient::shared($running->url);
        $other->ping();
        self::assertStringContainsString('stockade_remote_connections_total 1', $other->metricsText());
    }

    public function testAForkedChildHasAConnectionOfItsOwn(): void
    {
        $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
        $client = HttpClient::open($running->url);
        $client->createProduct('Lamp', '1', 40);
        $children = [];
        for ($child = 0; $child < 4; $child++) {
            $pid = pcntl_fork();
            if ($pid === 0) {
                for ($hold = 0; $hold < 5; $hold++) {
                    $client->createHold(1, 1);
                }
                posix_kill((int) getmypid(), SIGKILL);
            }
            $children[] = $pid;
        }
        for ($hold = 0; $hold < 20; $hold++) {
            $client->createHold(1, 1);
        }
        foreach ($children as $pid) {
            pcntl_waitpid($pid, $status);
        }
        self::assertSame(40, $client->product(1)->held);
        self::assertStringContainsString('stockade_remote_retries_total 0', $client->metricsText());
    }

    public function testCallsNestInASignalHandler(): void
    {
        $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
        $client = HttpClient::open($running->url);
        $client->createProduct('Lamp', '1', 1_000);
        $inner = 0;
        pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, static function () use ($client, &$inner): void {
            $client->createHold(1, 1);
            $inner++;
        });
        $parent = (int) getmypid();
        $pid = pcntl_fork();
        if ($pid === 0) {
            for ($signal = 0; $signal < 50; $signal++) {
                posix_kill($parent, SIGUSR1);
                usleep(1_000);
            }
            posix_kill((int) getmypid(), SIGKILL);
        }
        for ($hold = 0; $hold < 60; $hold++) {
            $client->createHold(1, 1);
        }
        while (pcntl_waitpid($pid, $status) === -1) {
            continue;
        }
        pcntl_signal_dispatch();
        pcntl_signal(SIGUSR1, SIG_DFL);
        self::assertGreaterThan(0, $inner);
        self::assertSame(60 + $inner, $client->product(1)->held);
    }

    /** @return array{Helper, string} a proxy and its URL */
    private static function cutting(Running $running, string $transport, string $marker, int $cuts): array
    {
        if ($transport === 'unix') {
            $socket = dirname(substr($running->url, strlen('unix://'))) . '/cut.sock';
            $proxy = new Helper('cut', ["unix://{$socket}", $running->url, $marker, (string) $cuts]);
            return [$proxy, "unix://{$socket}"];
        }
        preg_match('#^(http://:.*@)(.*)$#', $running->tcp, $found);
        $proxy = new Helper('cut', ['tcp://127.0.0.1:0', "tcp://{$found[2]}", $marker, (string) $cuts]);
        return [$proxy, $found[1] . $proxy->address];
    }

    /** @return array{StockadeException, float} what a call throws, and after how many seconds */
    private static function timed(callable $call): array
    {
        $since = hrtime(true);
        try {
            $call();
        } catch (StockadeException $error) {
            return [$error, (hrtime(true) - $since) / 1e9];
        }
        self::fail('nothing was thrown');
    }
}
