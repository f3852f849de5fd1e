<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use PHPUnit\Framework\TestCase;
use Stockade\Http\HttpClient;
use Stockade\Tests\Running;

/** What docs/port-from-laravel.md does with the data of benches/by-hand. */
final class PortTest extends TestCase
{
    private const SERVER = 'STOCKADE_SERVER';

    public function testStockMovesAndOldOrdersEndWhereTheyBegan(): void
    {
        $shop = new Database();
        $old = new App(['STOCKADE_WEBHOOK_PATH' => ''] + $shop->environment(), [dirname(__DIR__) . '/benches/by-hand']);
        $old->artisan('migrate', '--force');
        $old->artisan('db:seed', '--force');
        $site = new Site($old, 4);
        $hold = $site->ask('POST', '/api/holds/1/2')[1]['hold']['id'];
        $order = $site->ask('POST', "/api/orders/{$hold}/1")[1]['order']['id'];
        $open = $site->ask('POST', '/api/holds/1/3')[1]['hold']['id'];
        self::assertSame(95, $site->ask('GET', '/api/products/1')[1]['stock']);
        unset($site);

        // A store whose ids begin above the old ones.
        $stock = new Database();
        self::stockade($stock, 'migrate');
        foreach (self::statements('sql') as $statement) {
            $stock->pdo->exec($statement);
        }
        $engine = new Running((string) getenv(self::SERVER), $stock->store(), $stock->redis());
        $new = new App(['STOCKADE_STORE' => $engine->url, 'APP_ENV' => 'production'] + $shop->environment());
        $new->artisan('migrate', '--force');
        $printed = $new->artisan('stockade:import', '--table=products', '--sku=');
        self::assertStringContainsString('2 products put, 0 rejected', $printed);

        $client = HttpClient::open($engine->url);
        self::assertSame(['Flash sale lamp', '200.00', 95], [
            $client->product(1)->name,
            number_format((float) $client->product(1)->price, 2, '.', ''),
            $client->product(1)->stock,
        ]);
        // The old code gives back what it had taken, however often it runs.
        foreach ([["hold-{$open}", 3], ["order-{$order}", 2], ["hold-{$open}", 3]] as [$what, $units]) {
            $client->adjustStock(1, $units, "old {$what}", key: "old-{$what}");
        }
        self::assertSame(100, $client->product(1)->stock);

        $site = new Site($new, 4);
        $hold = $site->ask('POST', '/api/holds/1/1')[1]['hold']['id'];
        $order = $site->ask('POST', "/api/orders/{$hold}/1")[1]['order']['id'];
        self::assertGreaterThan(1_000_000, $hold);
        self::assertGreaterThan(1_000_000, $order);
        $event = ['order_id' => $order, 'status' => 'success', 'idempotency_key' => 'first'];
        self::assertSame('applied', $site->ask('POST', '/api/payments/webhook', $event)[1]['result']);
        self::assertTrue($client->audit()->consistent);
    }

    private static function stockade(Database $stock, string $command): void
    {
        $program = [(string) getenv(self::SERVER), $command, "--store={$stock->store()}"];
        // Its other settings are not those of these tests.
        $environment = ['PATH' => (string) getenv('PATH')];
        $process = proc_open($program, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes, null, $environment);
        self::assertNotFalse($process);
        $printed = stream_get_contents($pipes[1]);
        self::assertSame(0, proc_close($process), (string) $printed);
    }

    /** @return list<string> the document's statements, as they stand there */
    private static function statements(string $language): array
    {
        $text = (string) file_get_contents(dirname(__DIR__) . '/docs/port-from-laravel.md');
        preg_match_all("/^```{$language}\n(.*?)^```/ms", $text, $found);
        self::assertNotSame([], $found[1]);
        return $found[1];
    }
}
