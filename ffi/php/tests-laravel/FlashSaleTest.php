<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use PHPUnit\Framework\TestCase;
use Stockade\Http\HttpClient;
use Stockade\Tests\Running;

/**
 * The example under php-fpm and nginx with MySQL and Redis, through the cases that the
 * flash sale requires.
 */
final class FlashSaleTest extends TestCase
{
    private const HOLD_SECONDS = 4;
    private const LAMP = 1;
    private const MUG = 2;
    private const MUGS = 10;

    private static ?Running $engine = null;
    private static ?App $app = null;
    private static ?Site $site = null;

    public static function setUpBeforeClass(): void
    {
        [$stock, $shop] = [new Database(), new Database()];
        $settings = ['hold_ttl' => self::HOLD_SECONDS . 's'];
        self::$engine = new Running((string) getenv('STOCKADE_SERVER'), $stock->store(), $stock->redis() + $settings);
        self::$app = new App(['STOCKADE_STORE' => self::$engine->url] + $shop->environment());
        self::$app->artisan('migrate', '--force');
        self::$app->artisan('db:seed', '--force');
        self::$app->optimize();
        self::$site = new Site(self::$app, 16);
    }

    public static function tearDownAfterClass(): void
    {
        self::$site = self::$app = self::$engine = null;
    }

    public function testTheBodiesAreTheSeeds(): void
    {
        [$status, $product] = self::$site->ask('GET', '/api/products/1');
        self::assertSame([200, ['id' => 1, 'price' => 200, 'stock' => 100]], [$status, $product]);

        [$status, $body] = self::$site->ask('POST', '/api/holds/1/2');
        self::assertSame([200, 'Holded Successfully', true], [$status, $body['message'], $body['success']]);
        self::assertSame(['id', 'qty', 'expires_at'], array_keys($body['hold']));
        self::assertSame(2, $body['hold']['qty']);
        self::assertMatchesRegularExpression('/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/', $body['hold']['expires_at']);

        [$status, $order] = self::$site->ask('POST', "/api/orders/{$body['hold']['id']}/1");
        self::assertSame([200, 'order created successfully'], [$status, $order['message']]);
        self::assertSame(['status', 'hold_id', 'updated_at', 'created_at', 'id'], array_keys($order['order']));
        self::assertSame('pending_payment', $order['order']['status']);
        self::assertSame($body['hold']['id'], $order['order']['hold_id']);
        $moment = '/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/';
        self::assertMatchesRegularExpression($moment, $order['order']['created_at']);

        [$status] = self::$site->ask('POST', "/api/orders/{$body['hold']['id']}/1");
        self::assertSame(409, $status);
        foreach (['/api/holds/1/0' => 422, '/api/holds/1/2abc' => 422, '/api/holds/77/1' => 404] as $path => $wanted) {
            [$status, $body] = self::$site->ask('POST', $path);
            self::assertSame([$wanted, false], [$status, $body['success']], $path);
        }
    }

    public function testParallelHoldsAtTheBoundarySellExactlyOut(): void
    {
        $before = self::$site->ask('GET', '/api/products/2')[1]['stock'];
        self::assertSame(self::MUGS, $before);
        $answers = self::$site->askAll(array_fill(0, 40, ['POST', '/api/holds/2/1']));
        $statuses = array_count_values(array_column($answers, 0));
        self::assertSame([200 => self::MUGS, 409 => 30], [200 => $statuses[200], 409 => $statuses[409]]);
        self::assertSame(0, self::$site->ask('GET', '/api/products/2')[1]['stock']);
        foreach ($answers as [$status, $body]) {
            self::assertSame($status === 409 ? 'insufficient_stock' : null, $body['code'] ?? null);
        }
        $held = array_values(array_filter($answers, static fn (array $answer): bool => $answer[0] === 200));
        $ids = array_map(static fn (array $answer): int => $answer[1]['hold']['id'], $held);
        self::assertCount(self::MUGS, array_unique($ids));

        // They end, and all of them can be held again.
        $end = microtime(true) + self::HOLD_SECONDS + 5;
        do {
            usleep(100_000);
            $stock = self::$site->ask('GET', '/api/products/2')[1]['stock'];
        } while ($stock < self::MUGS && microtime(true) < $end);
        self::assertSame(self::MUGS, $stock);
        [$status, $body] = self::$site->ask('POST', "/api/orders/{$ids[0]}/2");
        self::assertSame([422, 'hold_expired'], [$status, $body['code']]);
        self::assertSame(self::MUGS, self::$site->ask('GET', '/api/products/2')[1]['stock']);
    }

    public function testAWebhookThatComesTwiceOrManyTimesAtOnceCountsOnce(): void
    {
        $order = $this->order(self::LAMP, 3);
        $sold = $this->sold();
        $event = ['order_id' => $order, 'status' => 'success', 'idempotency_key' => "twice-{$order}"];
        $answers = self::$site->askAll(array_fill(0, 12, ['POST', '/api/payments/webhook', $event]));
        $answers[] = self::$site->ask('POST', '/api/payments/webhook', $event);
        foreach ($answers as [$status, $body]) {
            self::assertSame([200, 'ok'], [$status, $body['message']]);
        }
        $results = array_count_values(array_map(static fn (array $answer): string => $answer[1]['result'], $answers));
        self::assertSame(1, $results['applied']);
        self::assertSame(12, $results['repeated']);
        self::assertSame($sold + 3, $this->sold());
        [$status, $body] = self::$site->ask('POST', '/api/payments/webhook', ['status' => 'failed'] + $event);
        self::assertSame([422, 'idempotency_mismatch'], [$status, $body['code']]);
    }

    public function testAWebhookThatComesBeforeItsOrderPaysIt(): void
    {
        $holds = array_map(fn (): int => $this->hold(self::LAMP, 1), range(1, 2));
        $first = self::$site->ask('POST', "/api/orders/{$holds[0]}/1")[1]['order']['id'];
        $next = $first + 1;
        $event = ['order_id' => $next, 'status' => 'success', 'idempotency_key' => "early-{$next}"];
        [$status, $body] = self::$site->ask('POST', '/api/payments/webhook', $event);
        self::assertSame([202, 'waiting'], [$status, $body['result']]);
        $sold = $this->sold();
        [$status, $body] = self::$site->ask('POST', "/api/orders/{$holds[1]}/1");
        self::assertSame([200, $next], [$status, $body['order']['id']]);
        self::assertSame('paid', $body['order']['status']);
        self::assertSame($sold + 1, $this->sold());
    }

    public function testAFailedPaymentReturnsTheStockOnce(): void
    {
        $order = $this->order(self::LAMP, 5);
        $before = self::$site->ask('GET', '/api/products/1')[1]['stock'];
        $event = ['order_id' => $order, 'status' => 'failed', 'idempotency_key' => "failed-{$order}"];
        self::$site->askAll(array_fill(0, 6, ['POST', '/api/payments/webhook', $event]));
        self::assertSame($before + 5, self::$site->ask('GET', '/api/products/1')[1]['stock']);
    }

    public function testTheQueueTellsBuyersAndTheHealthRouteIsGreen(): void
    {
        $order = $this->order(self::LAMP, 1);
        $event = ['order_id' => $order, 'status' => 'success', 'idempotency_key' => "told-{$order}"];
        self::$site->ask('POST', '/api/payments/webhook', $event);
        self::$app->artisan('stockade:events', '--queue');
        self::$app->artisan('queue:work', '--stop-when-empty');
        self::assertSame(1, substr_count(self::$app->log(), "order {$order} is paid"));
        self::$app->artisan('stockade:events', '--queue');
        self::$app->artisan('queue:work', '--stop-when-empty');
        self::assertSame(1, substr_count(self::$app->log(), "order {$order} is paid"));
        self::assertStringContainsString('consistent', self::$app->artisan('stockade:audit'));
    }

    public function testTheDevelopmentServerServes(): void
    {
        $free = stream_socket_server('tcp://127.0.0.1:0');
        self::assertNotFalse($free);
        $address = (string) stream_socket_get_name($free, false);
        fclose($free);
        $port = substr((string) strrchr($address, ':'), 1);
        $null = ['file', '/dev/null', 'r+'];
        $command = [PHP_BINARY, 'artisan', 'serve', "--port={$port}", '--no-reload'];
        $environment = ['PATH' => (string) getenv('PATH')];
        $server = proc_open($command, [$null, $null, $null], $pipes, self::$app->folder, $environment);
        self::assertNotFalse($server);
        $end = microtime(true) + 20;
        do {
            usleep(50_000);
            $body = @file_get_contents("http://{$address}/api/products/2");
        } while ($body === false && microtime(true) < $end);
        proc_terminate($server);
        proc_close($server);
        self::assertSame(['id' => 2, 'price' => 19.99], array_slice((array) json_decode((string) $body, true), 0, 2));
    }

    private function hold(int $product, int $quantity): int
    {
        [$status, $body] = self::$site->ask('POST', "/api/holds/{$product}/{$quantity}");
        self::assertSame(200, $status, json_encode($body, JSON_THROW_ON_ERROR));
        return $body['hold']['id'];
    }

    private function order(int $product, int $quantity): int
    {
        [$status, $body] = self::$site->ask('POST', "/api/orders/{$this->hold($product, $quantity)}/{$product}");
        self::assertSame(200, $status, json_encode($body, JSON_THROW_ON_ERROR));
        return $body['order']['id'];
    }

    private function sold(): int
    {
        return HttpClient::open(self::$engine->url)->product(self::LAMP)->sold;
    }
}
