<?php

declare(strict_types=1);

namespace Stockade\Tests;

use PHPUnit\Framework\TestCase;
use Stockade\Engine;
use Stockade\Http\HttpClient;
use Stockade\Native\Library;

/** Several workers of a real php-fpm sell one product at once. */
final class FpmTest extends TestCase
{
    private const WORKERS = 6;
    private const STOCK = 60;
    private const BUYERS = 120;

    public function testPreloadedOnMariaDbAndRedis(): void
    {
        $header = tempnam(sys_get_temp_dir(), 'stockade');
        file_put_contents($header, Library::preloadHeader());
        try {
            $this->sellOut(Place::servers(), [
                'opcache.enable' => '1',
                'opcache.preload' => dirname(__DIR__) . '/preload.php',
                'ffi.preload' => $header,
                'ffi.enable' => 'preload',
            ]);
        } finally {
            unlink($header);
        }
    }

    public function testLoadedByEachRequestOnSqlite(): void
    {
        $this->sellOut(Place::file(), ['ffi.enable' => '1']);
    }

    public function testThroughARunningEngine(): void
    {
        $running = new Running((string) getenv('STOCKADE_SERVER'), Place::file()->store);
        $this->sellOut(Place::running($running), ['ffi.enable' => '1'], 'ffi');
    }

    /** @return iterable<string, array{string, string}> the driver, and by what it connects */
    public static function drivers(): iterable
    {
        yield 'http on a socket file' => ['http', 'url'];
        yield 'http by TCP' => ['http', 'tcp'];
        yield 'ffi' => ['ffi', 'url'];
    }

    /**
     * Buyers whose worker was killed come again, with their key.
     *
     * @dataProvider drivers
     */
    public function testWorkersAreKilledAndReplacedMeanwhile(string $driver, string $transport): void
    {
        $place = Place::file();
        $running = new Running((string) getenv('STOCKADE_SERVER'), $place->store);
        $client = HttpClient::open($running->url);
        $product = $client->createProduct('Ticket', '19.99', self::STOCK)->id;
        $fpm = new Fpm(32, ['ffi.enable' => $driver === 'ffi' ? '1' : '0'], requests: 5);
        $request = ['STOCKADE_STORE' => $running->$transport, 'STOCKADE_DRIVER' => $driver]
            + self::request(Place::running($running), $product);
        $waiting = [];
        for ($buyer = 0; $buyer < 4 * self::STOCK; $buyer++) {
            $waiting[$buyer] = ['STOCKADE_KEY' => "buyer-{$buyer}"] + $request;
        }
        $results = $workers = [];
        for ($round = 0; $waiting !== [] && $round < 20; $round++) {
            // The first rounds lose workers.
            $killer = $round < 3 ? self::killWorkers($fpm) : null;
            $bodies = FastCgi::all($fpm->socket, array_values($waiting));
            foreach (array_combine(array_keys($waiting), $bodies) as $buyer => $body) {
                $answer = json_decode($body, true);
                if (is_array($answer) && in_array($answer['result'], ['sold', 'insufficient_stock'], true)) {
                    $results[$buyer] = $answer['result'];
                    $workers[$answer['pid']] = true;
                    unset($waiting[$buyer]);
                } elseif ($body !== '') {
                    self::fail($body . $fpm->log());
                }
            }
            if ($killer !== null) {
                pcntl_waitpid($killer, $status);
            }
        }
        $counts = array_count_values($results);
        ksort($counts);
        self::assertSame(['insufficient_stock' => 3 * self::STOCK, 'sold' => self::STOCK], $counts, $fpm->log());
        self::assertGreaterThan(32, count($workers), 'workers were replaced');
        self::assertStringContainsString('exited on signal 9', $fpm->log(), 'workers were killed');
        $report = $client->audit();
        self::assertTrue($report->consistent);
        self::assertSame([0, 0, self::STOCK], [$report->stock, $report->held, $report->sold]);
    }

    public function testWithoutPreloadingTheErrorSaysSo(): void
    {
        $fpm = new Fpm(1, ['ffi.enable' => 'preload']);
        $bodies = FastCgi::all($fpm->socket, [self::request(Place::memory(), 1)]);
        self::assertStringContainsString('must be preloaded', $bodies[0], $fpm->log());
    }

    /** Kills a worker every few milliseconds, in a process of its own, whose id it returns. */
    private static function killWorkers(Fpm $fpm): int
    {
        $pid = pcntl_fork();
        if ($pid !== 0) {
            return $pid;
        }
        for ($killed = 0; $killed < 20; $killed++) {
            usleep(5_000);
            $workers = $fpm->workers();
            if ($workers !== []) {
                posix_kill($workers[array_rand($workers)], SIGKILL);
            }
        }
        // Without destructors, which are the parent's.
        posix_kill((int) getmypid(), SIGKILL);
        exit;
    }

    /** @param array<string, string> $ini */
    private function sellOut(Place $place, array $ini, string $driver = 'ffi'): void
    {
        $engine = Engine::open($place->store, $place->settings);
        $product = $engine->createProduct('Ticket', '19.99', self::STOCK)->id;
        $fpm = new Fpm(self::WORKERS, $ini);
        $request = ['STOCKADE_DRIVER' => $driver] + self::request($place, $product);
        $bodies = FastCgi::all($fpm->socket, array_fill(0, self::BUYERS, $request));

        $results = $workers = $requests = [];
        foreach ($bodies as $body) {
            $answer = json_decode($body, true);
            self::assertIsArray($answer, $body . $fpm->log());
            $results[] = $answer['result'];
            $workers[$answer['pid']] = true;
            $requests[] = $answer['requests'] ?? 0;
        }
        $counts = array_count_values($results);
        ksort($counts);
        $refused = self::BUYERS - self::STOCK;
        self::assertSame(['insufficient_stock' => $refused, 'sold' => self::STOCK], $counts, $fpm->log());
        self::assertGreaterThan(1, count($workers), 'several workers took part');
        // A sale is three requests of the engine: more were asked of one that
        // outlived its first request.
        self::assertGreaterThan(3, max($requests));

        $report = $engine->audit();
        self::assertTrue($report->consistent);
        self::assertSame([0, 0, self::STOCK], [$report->stock, $report->held, $report->sold]);
    }

    /** @return array<string, string> */
    private static function request(Place $place, int $product): array
    {
        return [
            'SCRIPT_FILENAME' => __DIR__ . '/fpm/sell.php',
            'REQUEST_METHOD' => 'GET',
            'STOCKADE_STORE' => $place->store,
            'STOCKADE_SETTINGS' => (string) json_encode((object) $place->settings),
            'STOCKADE_PRODUCT' => (string) $product,
        ];
    }
}
