<?php

declare(strict_types=1);

namespace Stockade\Tests;

use PHPUnit\Framework\TestCase;
use Stockade\Engine;
use Stockade\EventCursor;
use Stockade\EventKind;
use Stockade\Exception\InsufficientStock;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\Misuse;
use Stockade\Exception\StockadeException;
use Stockade\Exception\Unavailable;
use Stockade\HoldRequest;
use Stockade\HoldResult;
use Stockade\HoldStatus;
use Stockade\Native\Library;
use Stockade\OrderStatus;
use Stockade\Outcome;
use Stockade\PaymentDisposition;
use Stockade\PaymentStatus;

final class EngineTest extends TestCase
{
    public function testAProductIsReadAsItWasMade(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $made = $engine->createProduct('Lämp', '19.90', 5);
        self::assertSame(['Lämp', '19.9', 1990, 5], [$made->name, $made->price, $made->priceMinor, $made->stock]);
        self::assertSame('200', $engine->createProduct('Ticket', '200', 1)->price);
        self::assertSame('0.05', $engine->createProduct('Pin', '0.05', 1)->price);

        $page = $engine->products(limit: 2);
        self::assertSame(['Lämp', 'Ticket'], array_column($page->items, 'name'));
        self::assertSame(2, $page->next);
        self::assertNull($engine->products($page->next)->next);
    }

    public function testMomentsAreUtcAndToTheMicrosecond(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $hold = $engine->createHold($engine->createProduct('Lamp', '1', 1)->id, 1, ttl: 1.5);
        self::assertSame('UTC', $hold->expiresAt->getTimezone()->getName());
        $life = (float) $hold->expiresAt->format('U.u') - (float) $hold->createdAt->format('U.u');
        self::assertEqualsWithDelta(1.5, $life, 0.000_01);
    }

    public function testAHoldIsUsedWithItsTokenAndCountsForItsCustomer(): void
    {
        $engine = Engine::open('sqlite::memory:', ['require_hold_token' => true, 'max_per_customer' => 2]);
        $lamp = $engine->createProduct('Lamp', '1', 9);
        $hold = $engine->createHold($lamp->id, 1, customer: 'ann');
        $cart = $engine->createHolds([[$lamp->id, 1]], customer: 'ann');
        foreach ([null, $cart->holds[0]->token] as $token) {
            $uses = [
                static fn () => $engine->createOrder($hold->id, $lamp->id, token: $token),
                static fn () => $engine->extendHold($hold->id, token: $token),
                static fn () => $engine->releaseHold($hold->id, token: $token),
                static fn () => $engine->createHold($lamp->id, 1, customer: 'ann'),
            ];
            foreach (['unauthorized', 'unauthorized', 'unauthorized', 'quantity_limit'] as $at => $word) {
                try {
                    $uses[$at]();
                    self::fail("it was not {$word}");
                } catch (StockadeException $error) {
                    self::assertSame($word, $error->error);
                }
            }
        }
        $engine->extendHold($hold->id, 300, $hold->token);
        $engine->createOrder($hold->id, $lamp->id, token: $hold->token);
        $engine->releaseHold($cart->holds[0]->id, $cart->holds[0]->token);
        $engine->createHold($lamp->id, 2, customer: 'ann');
        $lamp = $engine->product($lamp->id);
        self::assertSame([6, 2, 1], [$lamp->stock, $lamp->held, $lamp->pending]);
    }

    public function testARequestOfABatchCostsOnlyItself(): void
    {
        $engine = Engine::open('sqlite::memory:', ['max_per_customer' => 2]);
        [$lamp, $pin] = [$engine->createProduct('Lamp', '1', 5)->id, $engine->createProduct('Pin', '1', 1)->id];
        $requests = static function () use ($lamp, $pin): \Generator {
            yield new HoldRequest($lamp, 2, ttl: 60, key: 'one');
            foreach ([0, -1, 1.5, true, '2abc', 4294967296] as $quantity) {
                yield new HoldRequest($lamp, $quantity);
            }
            yield new HoldRequest(-1, 1);
            yield new HoldRequest($lamp, 1, ttl: NAN);
            yield new HoldRequest($lamp, 1, ttl: 0);
            yield new HoldRequest($lamp, 1, key: "a\0b");
            yield new HoldRequest($lamp, 1, customer: "\xff");
            yield new HoldRequest((string) $lamp, '2', '60', 'one');
            yield new HoldRequest($pin, 1, customer: 'ann');
            yield new HoldRequest($pin, 1);
            yield new HoldRequest(77, 1);
            yield new HoldRequest($lamp, 3, customer: 'ann');
        };
        $results = $engine->createHoldBatch($requests());
        $words = array_map(static fn (HoldResult $result): string => $result->error->error ?? '', $results);
        self::assertSame(
            ['', ...array_fill(0, 11, 'invalid_argument'), '', '', 'insufficient_stock', 'not_found', 'quantity_limit'],
            $words
        );
        foreach ($results as $result) {
            self::assertNotSame($result->hold === null, $result->error === null);
        }
        [$first, $again] = [$results[0]->hold, $results[12]->hold];
        self::assertSame([$first->id, $first->token], [$again->id, $again->token]);
        self::assertSame([false, true], [$first->replayed, $again->replayed]);
        self::assertSame([0, $pin], [$results[14]->error->available, $results[14]->error->short[0]->productId]);
        $engine->createOrder($first->id, $lamp);
        $lamp = $engine->product($lamp);
        self::assertSame([3, 0, 2], [$lamp->stock, $lamp->held, $lamp->pending]);

        self::assertSame([], $engine->createHoldBatch([]));
        $many = $engine->createHoldBatch(array_fill(0, 1_000, new HoldRequest($lamp->id, 1)));
        self::assertCount(3, array_filter($many, static fn (HoldResult $result): bool => $result->hold !== null));
        self::assertTrue($engine->audit()->consistent);
    }

    public function testAnErrorSaysWhatIsToBeDone(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '1', 5);
        try {
            $engine->createHold($lamp->id, 6);
            self::fail('it was held');
        } catch (InsufficientStock $error) {
            self::assertSame(['insufficient_stock', 5, 5], [$error->error, $error->getCode(), $error->available]);
            self::assertSame([6, 5], [$error->short[0]->requested, $error->short[0]->available]);
            self::assertNull($error->retryAfter);
        }
        $lonely = Engine::open('sqlite::memory:', ['redis' => 'redis://127.0.0.1:1', 'strict' => true]);
        try {
            $lonely->createHold($lonely->createProduct('Lamp', '1', 5)->id, 1);
            self::fail('it was held');
        } catch (Unavailable $error) {
            self::assertGreaterThan(0, $error->retryAfter);
        }
    }

    /** @dataProvider senseless */
    public function testWhatDoesNotFitTheTypesIsRefused(callable $call): void
    {
        $engine = Engine::open('sqlite::memory:');
        $engine->createProduct('Lamp', '1', 5);
        try {
            $call($engine);
            self::fail('it was taken');
        } catch (InvalidArgument $error) {
            self::assertSame('invalid_argument', $error->error);
        }
        self::assertSame(5, $engine->product(1)->stock);
    }

    /** @return iterable<string, array{callable(Engine): mixed}> */
    public static function senseless(): iterable
    {
        yield 'negative quantity' => [static fn (Engine $e) => $e->createHold(1, -1)];
        yield 'quantity over u32' => [static fn (Engine $e) => $e->createHold(1, 4294967297)];
        yield 'negative id' => [static fn (Engine $e) => $e->createHold(-1, 1)];
        yield 'negative ttl' => [static fn (Engine $e) => $e->createHold(1, 1, ttl: -1)];
        yield 'ttl that is no number' => [static fn (Engine $e) => $e->createHold(1, 1, ttl: NAN)];
        yield 'ttl without end' => [static fn (Engine $e) => $e->createHold(1, 1, ttl: INF)];
        yield 'key with a NUL' => [static fn (Engine $e) => $e->createHold(1, 1, key: "a\0b")];
        yield 'key that is not UTF-8' => [static fn (Engine $e) => $e->createHold(1, 1, key: "\xff")];
        yield 'id with a NUL' => [static fn (Engine $e) => $e->product("1\0")];
        yield 'request of a batch' => [static fn (Engine $e) => $e->createHoldBatch([[1, 1]])];
        yield 'batch without end' => [static function (Engine $e): array {
            return $e->createHoldBatch((static function (): \Generator {
                while (true) {
                    yield new HoldRequest(1, 1);
                }
            })());
        }];
        yield 'negative stock' => [static fn (Engine $e) => $e->createProduct('Lamp', '1', -1)];
        yield 'id over 2^53' => [static fn (Engine $e) => $e->createProduct('Lamp', '1', 1, id: 2 ** 53)];
        yield 'id of 0' => [static fn (Engine $e) => $e->createProduct('Lamp', '1', 1, id: 0)];
        yield 'empty SKU' => [static fn (Engine $e) => $e->createProduct('Lamp', '1', 1, sku: '')];
        yield 'SKU that is not named' => [static fn (Engine $e) => $e->product('sku:')];
        yield 'metadata that is a list' => [static fn (Engine $e) => $e->createProduct('Lamp', '1', 1, metadata: [1])];
        yield 'metadata that is no JSON' => [static fn (Engine $e) => $e->putProduct(1, 'Lamp', '1', metadata: '{')];
        yield 'metadata that JSON cannot tell' => [static function (Engine $e): mixed {
            return $e->changeProduct(1, ['metadata' => ['a' => NAN]]);
        }];
        yield 'moment without a zone' => [static function (Engine $e): mixed {
            return $e->putProduct(1, 'Lamp', '1', onSaleFrom: '2026-11-27T08:00:00');
        }];
        yield 'moment before all' => [static function (Engine $e): mixed {
            return $e->createProduct('Lamp', '1', 1, onSaleFrom: new \DateTimeImmutable('@-1'));
        }];
        yield 'moment of another type' => [static fn (Engine $e) => $e->changeProduct(1, ['onSaleFrom' => 5])];
        yield 'unknown change' => [static fn (Engine $e) => $e->changeProduct(1, ['held' => 5])];
        yield 'name that is cleared' => [static fn (Engine $e) => $e->changeProduct(1, ['name' => null])];
        yield 'flag that is a number' => [static fn (Engine $e) => $e->changeProduct(1, ['archived' => 1])];
        yield 'request to put' => [static fn (Engine $e) => $e->putProducts([[1, 'Lamp', '1']])];
        yield 'delta and count' => [static fn (Engine $e) => $e->adjustStock(1, 1, 'count', to: 4)];
        yield 'neither delta nor count' => [static fn (Engine $e) => $e->adjustStock(1, null, 'count')];
        yield 'user without a name' => [static fn (Engine $e) => $e->actingAs('')];
        yield 'user with a line break' => [static fn (Engine $e) => $e->actingAs("a\nb")];
        yield 'user with a NUL' => [static fn (Engine $e) => $e->actingAs("a\0b")];
        yield 'user with too long a name' => [static fn (Engine $e) => $e->actingAs(str_repeat('a', 256))];
        yield 'metadata of a hold' => [static fn (Engine $e) => $e->createHold(1, 1, metadata: [1])];
        yield 'too much metadata of a hold' => [static function (Engine $e): mixed {
            return $e->createHold(1, 1, metadata: ['a' => str_repeat('x', 4089)]);
        }];
        yield 'metadata of a cart' => [static fn (Engine $e) => $e->createHolds([[1, 1]], metadata: '')];
        yield 'metadata of an order' => [static fn (Engine $e) => $e->createOrder(1, 1, metadata: '{')];
        yield 'metadata of an order of many' => [static fn (Engine $e) => $e->createOrderOf([1], metadata: 'null')];
        yield 'payment of no order' => [static fn (Engine $e) => $e->recordPayment('paid', key: 'one')];
        yield 'payment of an empty number' => [static fn (Engine $e) => $e->recordPayment('paid', orderReference: '')];
        yield 'unknown status' => [static fn (Engine $e) => $e->holds(status: 'held')];
        yield 'unknown disposition' => [static fn (Engine $e) => $e->orders(disposition: 'refund')];
        yield 'limit of a list' => [static fn (Engine $e) => $e->orders(limit: 1001)];
        yield 'page of waiting payments' => [static fn (Engine $e) => $e->waitingPayments('nowhere')];
        yield 'empty customer' => [static fn (Engine $e) => $e->eraseCustomer('')];
        yield 'price' => [static fn (Engine $e) => $e->createProduct('Lamp', '1.999', 1)];
        yield 'limit' => [static fn (Engine $e) => $e->products(limit: -1)];
        yield 'cursor' => [static fn (Engine $e) => $e->eventsAfter(-1)];
        yield 'setting' => [static fn () => Engine::open('sqlite::memory:', ['hold_tll' => '60s'])];
        yield 'setting with a NUL' => [static fn () => Engine::open('sqlite::memory:', ['hold_ttl' => "60s\0"])];
        yield 'store' => [static fn () => Engine::open('postgres://nowhere')];
    }

    public function testTextsBelongToOneCallOnly(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '1', 5);
        $first = $engine->createHold($lamp->id, 1, ttl: 60, key: 'cart');
        $second = $engine->createHold($lamp->id, 1);
        self::assertNotSame($first->id, $second->id);
        self::assertTrue($engine->createHold($lamp->id, 1, ttl: 60, key: 'cart')->replayed);
        $order = $engine->createOrder($first->id, $lamp->id);
        $paid = $engine->recordPayment('success', $order->id, amount: $order->amount);
        self::assertSame(PaymentStatus::Applied, $paid->status);
    }

    public function testHousekeeping(): void
    {
        $engine = Engine::open('sqlite::memory:', ['sweeper' => false]);
        $lamp = $engine->createProduct('Lamp', '1', 5);
        $engine->createHold($lamp->id, 2);
        $engine->ping();
        self::assertSame(0, $engine->sweep()->holdsExpired);
        self::assertStringContainsString('stockade_', $engine->metricsText());
        $report = $engine->audit();
        self::assertSame([true, 1, 5, 3, 2, []], [
            $report->consistent, $report->products, $report->received, $report->stock,
            $report->held, $report->findings,
        ]);
        $events = $engine->eventsAfter();
        $stream = new EventCursor($engine, page: 2);
        self::assertEquals($events, iterator_to_array($stream, false));
        self::assertSame(end($events)->cursor, $stream->position());
        self::assertSame([], iterator_to_array($stream, false));
        self::assertSame(
            [EventKind::ProductCreated, EventKind::StockAdjusted, EventKind::HoldCreated],
            array_column($events, 'kind')
        );
        self::assertSame([null, 2], [$events[2]->orderId, $events[2]->quantity]);
    }

    public function testAnAuditSaysWhatIsWrong(): void
    {
        $place = Place::servers();
        $engine = Engine::open($place->store, $place->settings);
        $lamp = $engine->createProduct('Lamp', '1', 5);
        $place->sql('UPDATE stockade_products SET stock = stock - 1, held = held + 1');
        $report = $engine->audit();
        self::assertFalse($report->consistent);
        $held = array_filter($report->findings, static fn ($finding): bool => $finding->check === 'held');
        self::assertCount(1, $held);
        self::assertSame($lamp->id, current($held)->id);
        self::assertNotSame('', current($held)->detail);
    }

    public function testASharedEngineOutlivesItsObject(): void
    {
        $engine = Engine::shared('sqlite::memory:', ['max_per_hold' => 7]);
        $engine->createProduct('Lamp', '1', 5);
        $engine->close();
        unset($engine);
        self::assertCount(1, Engine::shared('sqlite::memory:', ['max_per_hold' => 7])->products()->items);
        self::assertCount(0, Engine::shared('sqlite::memory:', ['max_per_hold' => 8])->products()->items);
    }

    public function testAClosedEngineIsMisuse(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $engine->close();
        $engine->close();
        try {
            $engine->createHoldBatch([]);
            self::fail('it was taken');
        } catch (Misuse) {
        }
        $this->expectException(Misuse::class);
        $engine->ping();
    }

    public function testAForkGetsAClearErrorAndAnEngineOfItsOwn(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $engine->createProduct('Lamp', '1', 5);
        $clerk = $engine->actingAs('clerk');
        $child = pcntl_fork();
        if ($child === 0) {
            $code = 1;
            try {
                $acts = static fn (): Engine => $engine->actingAs('till');
                $calls = [$engine->metricsText(...), $acts, $clerk->close(...), $engine->close(...)];
                foreach ($calls as $call) {
                    try {
                        $call();
                        $code = 3;
                    } catch (Misuse) {
                    }
                }
                $engine->product(1);
            } catch (Misuse $error) {
                $own = Engine::open('sqlite::memory:');
                $said = str_contains($error->getMessage(), 'fork');
                $code = $code === 1 && $said && $own->products()->items === [] ? 0 : 2;
            } finally {
                // Ends at once: what PHPUnit does at its end is the parent's.
                posix_kill(getmypid(), $code === 0 ? SIGTERM : SIGKILL);
            }
        }
        self::assertSame($child, pcntl_waitpid($child, $status));
        self::assertTrue(pcntl_wifsignaled($status) && pcntl_wtermsig($status) === SIGTERM);
        self::assertSame(5, $engine->product(1)->stock);
        self::assertSame(5, $clerk->product(1)->stock);
    }

    /** The words and numbers are those of the library. */
    public function testEveryCodeAndStatusHasItsClass(): void
    {
        $ffi = Library::ffi();
        $known = 0;
        for ($code = 1; $code < 64; $code++) {
            $word = $ffi->stockade_code_name($code);
            if ($word === null) {
                continue;
            }
            $known++;
            $class = StockadeException::classFor($code);
            $name = strtolower((string) preg_replace('/(?<!^)[A-Z]/', '_$0', basename(strtr($class, '\\', '/'))));
            self::assertSame($word, $name);
        }
        self::assertSame(21, $known);
        $enums = [
            'hold_status' => HoldStatus::class,
            'order_status' => OrderStatus::class,
            'payment_disposition' => PaymentDisposition::class,
            'payment_status' => PaymentStatus::class,
            'event_kind' => EventKind::class,
            'outcome' => Outcome::class,
        ];
        foreach ($enums as $name => $enum) {
            $words = [];
            for ($number = 1; ($word = $ffi->{"stockade_{$name}_name"}($number)) !== null; $number++) {
                $words[] = $word;
            }
            self::assertSame($words, array_column($enum::cases(), 'value'));
        }
    }

    public function testTheExampleRuns(): void
    {
        exec('php ' . escapeshellarg(__DIR__ . '/../examples/shop.php') . ' 2>&1', $lines, $status);
        self::assertSame([0, ['3 left', 'order paid, 2 sold']], [$status, $lines]);
    }

    public function testTheReadmeShowsAProgramThatRuns(): void
    {
        $readme = (string) file_get_contents(__DIR__ . '/../../../README.md');
        self::assertSame(1, preg_match('/```php\n(.*?)```/s', $readme, $shown));
        $program = (string) tempnam(sys_get_temp_dir(), 'stockade');
        try {
            file_put_contents($program, "<?php\n{$shown[1]}");
            $autoload = escapeshellarg('auto_prepend_file=' . __DIR__ . '/../autoload.php');
            exec("php -d {$autoload} " . escapeshellarg($program) . ' 2>&1', $lines, $status);
        } finally {
            unlink($program);
        }
        self::assertSame([0, ['2 sold']], [$status, $lines]);
    }

    /** @dataProvider places */
    public function testTheLibraryIsFound(callable $place): void
    {
        $folder = sys_get_temp_dir() . '/stockade-package-' . getmypid() . '-' . hrtime(true);
        [$package, $set, $expected] = $place($folder);
        $show = 'use Stockade\Native\Library; require ' . var_export("{$package}/autoload.php", true) . '; '
            . $set . 'echo Library::version(), " ", Library::path(), "\n";';
        try {
            $command = ['env', '-u', 'STOCKADE_LIBRARY', 'php', '-r', $show];
            exec(implode(' ', array_map(escapeshellarg(...), $command)) . ' 2>&1', $lines, $status);
        } finally {
            exec('rm -rf ' . escapeshellarg($folder));
        }
        self::assertSame([0, [Library::version() . " {$expected}"]], [$status, $lines]);
    }

    /**
     * Each makes what it needs in a folder, and tells the package, what a
     * program says first, and the library that it finds.
     *
     * @return iterable<string, array{callable(string): array{string, string, string}}>
     */
    public static function places(): iterable
    {
        $own = dirname(__DIR__);
        $library = (string) getenv('STOCKADE_LIBRARY');
        yield 'as told by the program' => [static fn (): array => [
            $own, 'Library::use(' . var_export($library, true) . '); ', $library,
        ]];
        yield 'beside the package' => [static function (string $folder) use ($own, $library): array {
            exec('cp -r ' . escapeshellarg($own) . ' ' . escapeshellarg($folder));
            symlink($library, "{$folder}/lib/libstockade.so");
            return [$folder, '', "{$folder}/lib/libstockade.so"];
        }];
    }

    public function testALibraryThatCannotBeLoadedIsMisuse(): void
    {
        $command = 'STOCKADE_LIBRARY=/nowhere.so php ' . escapeshellarg(__DIR__ . '/../bin/stockade-ffi');
        exec("{$command} check 2>&1", $lines, $status);
        self::assertSame(1, $status);
        self::assertStringContainsString('misuse: the library /nowhere.so cannot be loaded', $lines[0]);
    }
}
