<?php

declare(strict_types=1);

namespace Stockade\Tests;

use PHPUnit\Framework\TestCase;
use Stockade\Engine;
use Stockade\Exception\IdempotencyMismatch;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\Misuse;

/** Calls within calls, engines that are over, dumps, and loose types. */
final class OddUseTest extends TestCase
{
    private const CALLS = 200;
    private const SIGNALS_MIN = 20;

    public function testASignalHandlersCallsLeaveTheCallAroundThemAlone(): void
    {
        $engine = Engine::open('sqlite::memory:', ['max_per_hold' => 10]);
        $outer = $engine->createProduct('Outer', '1', 1_000_000)->id;
        $inner = $engine->createProduct('Inner', '2', 1_000_000)->id;
        $handled = 0;
        $wrong = [];
        $expect = static function (bool $isRight, string $what) use (&$wrong): void {
            if (!$isRight) {
                $wrong[] = $what;
            }
        };
        pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, static function () use ($engine, $inner, $expect, &$handled): void {
            $handled++;
            $hold = $engine->createHold($inner, 7, key: "inner-{$handled}");
            $expect([$hold->productId, $hold->quantity] === [$inner, 7], "inner {$hold->productId}");
            try {
                $engine->createHold($inner, 11);
                $expect(false, 'a hold over the limit');
            } catch (\Stockade\Exception\QuantityLimit) {
            }
        });
        $send = 'while (posix_kill(' . getmypid() . ', SIGUSR1)) { usleep(3_000); }';
        $sender = proc_open(['php', '-r', $send], [], $pipes);
        self::assertNotFalse($sender);
        try {
            for ($calls = 0; $calls < self::CALLS || $handled < self::SIGNALS_MIN; $calls++) {
                $hold = $engine->createHold($outer, 1, key: "outer-{$calls}");
                $got = [$hold->productId, $hold->quantity];
                $expect($got === [$outer, 1], "outer {$got[0]} {$got[1]}");
                $cart = $engine->createHolds([[$outer, 2]], key: "cart-{$calls}");
                $expect($cart->holds[0]->quantity === 2, "cart {$cart->holds[0]->quantity}");
                try {
                    $engine->product(99);
                    $expect(false, 'an unknown product');
                } catch (\Stockade\Exception\NotFound $error) {
                    $expect(str_contains($error->getMessage(), '99'), $error->getMessage());
                }
            }
        } finally {
            proc_terminate($sender, SIGKILL);
            proc_close($sender);
            pcntl_signal(SIGUSR1, SIG_IGN);
            pcntl_async_signals(false);
        }
        self::assertSame([], array_slice($wrong, 0, 5));
        self::assertTrue($engine->audit()->consistent);
    }

    /** The cycle collector may run wherever memory is taken. */
    public function testADestructorThatTheCycleCollectorRunsMayCall(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '1', 100)->id;
        $pin = $engine->createProduct('Pin', '1', 1_000_000)->id;
        $lines = static function () use ($engine, $lamp, $pin): \Generator {
            foreach ([$lamp, $pin] as $product) {
                $garbage = new class ($engine, $pin) {
                    public object $self;

                    public function __construct(private Engine $engine, private int $pin)
                    {
                        $this->self = $this;
                    }

                    public function __destruct()
                    {
                        $this->engine->createHold($this->pin, 7, key: 'the same');
                    }
                };
                unset($garbage);
                gc_collect_cycles();
                yield [$product, 1];
            }
        };
        $holds = $engine->createHolds($lines())->holds;
        self::assertSame([$lamp, $pin], array_column($holds, 'productId'));
        self::assertSame([1, 1], array_column($holds, 'quantity'));
        self::assertSame(8, $engine->product($pin)->held);
    }

    public function testAnEngineThatACallWithinACallClosesIsFreedAfterBoth(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '1', 100)->id;
        $lines = static function () use ($engine, $lamp): \Generator {
            $engine->close();
            yield [$lamp, 1];
        };
        $this->expectException(Misuse::class);
        $this->expectExceptionMessage('the engine is closed');
        $engine->createHolds($lines());
    }

    public function testAnEngineDestroyedByHandIsClosed(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $engine->__destruct();
        $engine->__destruct();
        $engine->close();
        $this->expectException(Misuse::class);
        $this->expectExceptionMessage('the engine is closed');
        $engine->ping();
    }

    public function testAtTheScriptsEndAnObjectFindsTheEngineClosed(): void
    {
        $printed = $this->printed(<<<'PHP'
            class Basket
            {
                public ?Stockade\Hold $hold = null;

                public function __construct(public Stockade\Engine $engine)
                {
                    $this->hold = $engine->createHold(1, 1);
                }

                public function __destruct()
                {
                    try {
                        $this->engine->releaseHold($this->hold->id);
                        echo "released\n";
                    } catch (Stockade\Exception\Misuse $error) {
                        echo "{$error->getMessage()}\n";
                    }
                }
            }
            class Shop
            {
                public static Stockade\Engine $engine;
                public static Basket $basket;
            }
            // Both live to the end, where PHP destroys them in the order they were made.
            Shop::$engine = Stockade\Engine::open('sqlite::memory:');
            Shop::$engine->createProduct('Lamp', '1', 5);
            Shop::$basket = new Basket(Shop::$engine);
            PHP);
        self::assertSame(['the engine is closed'], $printed);
    }

    public function testAtTheScriptsEndAnEngineIsDestroyedBeforeItsUser(): void
    {
        $printed = $this->printed(<<<'PHP'
            class Shop
            {
                public static Stockade\Engine $engine;
                public static Stockade\Engine $clerk;
            }
            Shop::$engine = Stockade\Engine::open('sqlite::memory:');
            Shop::$clerk = Shop::$engine->actingAs('clerk');
            register_shutdown_function(static function (): void {
                Shop::$engine->__destruct();
                try {
                    Shop::$clerk->ping();
                } catch (Stockade\Exception\Misuse $error) {
                    echo "{$error->getMessage()}\n";
                }
            });
            PHP);
        self::assertSame(['the engine is closed'], $printed);
    }

    /** @dataProvider dumps */
    public function testADumpReadsNoMemoryAndShowsNoSecret(string $dump): void
    {
        $printed = $this->printed(<<<PHP
            \$secret = 'se-cret-' . str_repeat('x', 100_000);
            \$engine = Stockade\Engine::open('sqlite::memory:', ['redis' => 'redis://u:se-cret@127.0.0.1:1']);
            \$lamp = \$engine->createProduct('Lamp', '1', 5)->id;
            \$token = \$engine->createHold(\$lamp, 1, key: 'a' . str_repeat('b', 250))->token;
            for (\$i = 0; \$i < 50; \$i++) {
                try {
                    \$engine->adjustStock(\$lamp, 1, \$secret);
                } catch (Stockade\Exception\InvalidArgument) {
                }
            }
            \$engine->releaseHold(1, \$token);
            ob_start();
            {$dump};
            \$shown = (string) ob_get_clean();
            echo strlen(\$shown) < 1000 && !str_contains(\$shown, 'se-cret') && !str_contains(\$shown, \$token)
                && !str_contains(\$shown, 'bbb') ? "fine\n" : "showed {\$shown}\n";
            PHP);
        self::assertSame(['fine'], $printed);
    }

    /** @return iterable<string, array{string}> */
    public static function dumps(): iterable
    {
        yield 'print_r' => ['print_r($engine)'];
        yield 'var_dump' => ['var_dump($engine)'];
        yield 'var_export' => ['var_export($engine)'];
        yield 'json_encode' => ['echo json_encode($engine)'];
        // As Laravel's dd() looks into an object.
        yield 'all properties' => ['$all = (array) $engine; array_walk_recursive($all, '
            . 'static function ($value) { print_r($value); print_r((array) $value); })'];
    }

    public function testEnginesAreCompared(): void
    {
        $one = Engine::open('sqlite::memory:');
        $other = Engine::open('sqlite::memory:');
        self::assertFalse($one == $other);
        self::assertTrue($one == $one);
        self::assertFalse(in_array($one, [$other], false));
        self::assertFalse((object) ['engine' => $one] == (object) ['engine' => $other]);
    }

    public function testWithoutStrictTypesNoNumberIsBent(): void
    {
        $calls = '';
        $cases = iterator_to_array(self::loose());
        foreach ($cases as [$call]) {
            $calls .= "try { \$engine->{$call}; echo \"taken\n\"; }"
                . ' catch (Stockade\Exception\InvalidArgument $e) { echo "{$e->error}: {$e->getMessage()}\n"; }' . "\n";
        }
        $printed = $this->printed(<<<PHP
            \$engine = Stockade\Engine::open('sqlite::memory:');
            \$engine->createProduct('Lamp', '1', 5);
            {$calls}
            \$lamp = \$engine->product(1);
            echo "{\$lamp->stock} {\$lamp->held}\n";
            PHP);
        self::assertSame('5 0', array_pop($printed));
        self::assertSame(count($cases), count($printed));
        foreach (array_values($cases) as $index => [$call, $argument]) {
            self::assertStringStartsWith("invalid_argument: {$argument}", $printed[$index], $call);
        }
    }

    /** @return iterable<string, array{string, string}> */
    public static function loose(): iterable
    {
        $arguments = [
            'createHold(1, %s)' => 'quantity',
            'createHold(%s, 1)' => 'product_id',
            'createHold(1, 1, ttl: [%s][0] === true ? true : "x")' => 'ttl',
            'createHolds([[1, %s]])' => 'quantity',
            'createHolds([[%s, 1]])' => 'product_id',
            'createProduct("Pin", "1", %s)' => 'stock',
            'createProduct("Pin", %s, 1)' => 'price',
            'adjustStock(1, %s, "delivery")' => 'delta',
            'adjustStock(%s, 1, "delivery")' => 'product_id',
            'adjustStock(1, null, "count", to: %s)' => 'to',
            'createProduct("Pin", "1", 1, id: %s)' => 'id',
            'createProduct("Pin", "1", 1, safetyStock: %s)' => 'safetyStock',
            'putProduct(%s, "Pin", "1")' => 'product',
            'putProduct(1, "Pin", %s)' => 'price',
            'putProduct(1, "Pin", "1", stock: %s)' => 'stock',
            'putProduct(1, "Pin", "1", version: %s)' => 'version',
            'changeProduct(%s, [])' => 'product',
            'changeProduct(1, ["stock" => %s])' => 'stock',
            'changeProduct(1, ["price" => %s])' => 'price',
            'changeProduct(1, ["safetyStock" => %s])' => 'safetyStock',
            'holds(productId: %s)' => 'product_id',
            'holds(after: %s)' => 'after',
            'holds(limit: %s)' => 'limit',
            'orders(after: %s)' => 'after',
            'waitingPayments(limit: %s)' => 'limit',
            'product(%s)' => 'id',
            'products(%s)' => 'after',
            'products(0, %s)' => 'limit',
            'releaseHold(%s)' => 'hold_id',
            'extendHold(%s)' => 'hold_id',
            'hold(%s)' => 'id',
            'order(%s)' => 'id',
            'createOrder(%s, 1)' => 'hold_id',
            'createOrder(1, %s)' => 'product_id',
            'recordPayment("paid", %s)' => 'order_id',
            'eventsAfter(%s)' => 'cursor',
            'eventsAfter(0, %s)' => 'limit',
            'advanceClock([%s][0] === true ? true : "x")' => 'by',
        ];
        foreach ($arguments as $call => $argument) {
            foreach (['1.5', '1.999', 'true', '2.0', '"1.5"'] as $value) {
                if ($argument === 'price' && $value === '"1.5"') {
                    continue;
                }
                $written = sprintf($call, $value);
                yield $written => [$written, $argument];
            }
        }
        yield 'a negative cursor' => ['eventsAfter(-1)', 'cursor must be a whole number of at least 0, got -1'];
        yield 'a line of one' => ['createHolds([[1]])', 'lines[0] must be'];
        yield 'a number for at most' => ['createHolds([[1, 1], [1, 1, 1]])', 'lines[1][2] must be'];
        yield 'a line of four' => ['createHolds([[1, 1], [1, 1, true, 1]])', 'lines[1] must be'];
        yield 'a line that is none' => ['createHolds([1 => 2])', 'lines[0] must be'];
        yield 'a line with names' => ['createHolds([["product_id" => 1, "quantity" => 1]])', 'lines[0] must be'];
        yield 'a line of lists' => ['createHolds([[[1], 1]])', 'lines[0] must be'];
        yield 'a line of nulls' => ['createHolds([[null, 1]])', 'lines[0] must be'];
        yield 'a ttl beyond all' => ['createHold(1, 1, ttl: 1e300)', 'ttl must be seconds'];
        yield 'a line break' => ['createHold("1\n2", 1)', 'product_id must be a whole number, got `1\\n2`'];
        yield 'a text with a NUL' => ['createHold(1, 1, key: "a\0b")', 'key must not have a NUL'];
    }

    public function testAKeyCreatesAProductOnce(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $rug = $engine->createProduct('Rug', 1, 2, key: 'import-7');
        $again = $engine->createProduct('Rug', 1, 2, key: 'import-7');
        self::assertSame([$rug->id, false, true], [$again->id, $rug->replayed, $again->replayed]);
        self::assertCount(1, $engine->products()->items);
        $this->expectException(IdempotencyMismatch::class);
        $engine->createProduct('Rug', 1, 3, key: 'import-7');
    }

    public function testTextsOfWholeNumbersAreTaken(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', 20, '5');
        self::assertSame(['20', 5], [$lamp->price, $lamp->stock]);
        self::assertSame(3, $engine->adjustStock('1', '-2', 'broken')->stock);
        $hold = $engine->createHold('1', '2', ttl: '1.5');
        $life = (float) $hold->expiresAt->format('U.u') - (float) $hold->createdAt->format('U.u');
        self::assertEqualsWithDelta(1.5, $life, 0.000_01);
        self::assertCount(1, $engine->products('0', '10')->items);
        $this->expectException(InvalidArgument::class);
        $engine->createHold('1', '2abc');
    }

    /**
     * What a program without strict_types prints.
     *
     * @return list<string>
     */
    private function printed(string $program): array
    {
        $begin = 'require ' . var_export(dirname(__DIR__) . '/autoload.php', true) . ";\n";
        $command = 'php -d display_errors=stderr -r ' . escapeshellarg($begin . $program) . ' 2>&1';
        exec($command, $lines, $status);
        self::assertSame(0, $status, implode("\n", $lines));
        return $lines;
    }
}
