<?php

declare(strict_types=1);

namespace Stockade\Tests;

use PHPUnit\Framework\TestCase;
use Stockade\Engine;
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
        $this->sellOut(Place::running($running), ['ffi.enable' => '1']);
    }

    public function testWithoutPreloadingTheErrorSaysSo(): void
    {
        $fpm = new Fpm(1, ['ffi.enable' => 'preload']);
        $bodies = FastCgi::all($fpm->socket, [self::request(Place::memory(), 1)]);
        self::assertStringContainsString('must be preloaded', $bodies[0], $fpm->log());
    }

    /** @param array<string, string> $ini */
    private function sellOut(Place $place, array $ini): void
    {
        $engine = Engine::open($place->store, $place->settings);
        $product = $engine->createProduct('Ticket', '19.99', self::STOCK)->id;
        $fpm = new Fpm(self::WORKERS, $ini);
        $bodies = FastCgi::all($fpm->socket, array_fill(0, self::BUYERS, self::request($place, $product)));

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
