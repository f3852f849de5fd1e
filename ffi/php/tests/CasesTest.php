<?php

declare(strict_types=1);

namespace Stockade\Tests;

use PHPUnit\Framework\TestCase;
use RuntimeException;
use Stockade\Cart;
use Stockade\Client;
use Stockade\Engine;
use Stockade\Exception\StockadeException;
use Stockade\HoldRequest;
use Stockade\HoldResult;
use Stockade\Http\HttpClient;
use Stockade\Order;
use Stockade\PutOutcome;

/** The table of cases that every face runs: engine/tests/cases.json. */
final class CasesTest extends TestCase
{
    private const SOON_SECONDS = 10;

    private static ?Place $servers = null;

    /** @dataProvider cases */
    public function testOnSqlite(array $case): void
    {
        $this->playOn($case, Place::memory());
    }

    /** @dataProvider cases */
    public function testOnMariaDbAndRedis(array $case): void
    {
        self::$servers ??= Place::servers();
        $this->playOn($case, self::$servers);
    }

    /** @dataProvider cases */
    public function testThroughHttpOnASocketFile(array $case): void
    {
        $running = self::running($case);
        $this->play($case, HttpClient::open($running->url));
    }

    /** @dataProvider cases */
    public function testThroughHttpByTcp(array $case): void
    {
        $running = self::running($case);
        $this->play($case, HttpClient::open($running->tcp));
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function cases(): iterable
    {
        $text = (string) file_get_contents(__DIR__ . '/../../../engine/tests/cases.json');
        foreach (json_decode($text, true, 512, JSON_THROW_ON_ERROR)['cases'] as $case) {
            if (in_array('php', $case['faces'] ?? ['php'], true)) {
                yield $case['name'] => [$case];
            }
        }
    }

    /** @param array<string, mixed> $case */
    private static function running(array $case): Running
    {
        return new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:', $case['settings'] ?? []);
    }

    /** @param array<string, mixed> $case */
    private function playOn(array $case, Place $place): void
    {
        $this->play($case, Engine::open($place->store, ($case['settings'] ?? []) + $place->settings));
    }

    /** @param array<string, mixed> $case */
    private function play(array $case, Client $engine): void
    {
        $answers = [];
        foreach ($case['products'] ?? [] as $name => $stock) {
            $answers[$name] = self::fields($engine->createProduct($name, '19.99', $stock));
        }
        foreach ($case['steps'] as $index => $step) {
            $end = hrtime(true) + self::SOON_SECONDS * 1_000_000_000;
            do {
                $got = $this->call($engine, $step, $answers);
                $why = $this->mismatch($step, $got, $answers);
                if ($why !== null && ($step['until'] ?? false)) {
                    usleep(5_000);
                }
            } while ($why !== null && ($step['until'] ?? false) && hrtime(true) < $end);
            self::assertNull($why, "step {$index} ({$step['call']}): {$why}");
            if (isset($step['as'])) {
                $answers[$step['as']] = $got;
            }
        }
        if (!in_array('close', array_column($case['steps'], 'call'), true)) {
            self::assertTrue($engine->audit()->consistent);
        }
        $engine->close();
    }

    /**
     * @param array<string, mixed> $step
     * @param array<string, mixed> $answers
     * @return array<string, mixed> the answer's fields, or the error's
     */
    private function call(Client $engine, array $step, array $answers): array
    {
        $a = self::resolve($step['args'] ?? [], $answers);
        $lines = static fn (array $line): array
            => [self::product($line), $line['quantity'], $line['at_most'] ?? false];
        try {
            $answer = match ($step['call']) {
                'product' => $engine->product($a['id']),
                'create_product' => $engine->createProduct(...self::named($a)),
                'put_product' => self::put($engine->putProduct(...self::named($a))),
                'change_product' => $engine->changeProduct(
                    $a['product'],
                    self::named(array_diff_key($a, ['product' => 0, 'version' => 0])),
                    $a['version'] ?? null
                ),
                'adjust_stock' => $engine->adjustStock(
                    $a['product_id'],
                    $a['delta'] ?? null,
                    $a['reason'],
                    $a['key'] ?? null,
                    $a['version'] ?? null,
                    $a['to'] ?? null
                ),
                'holds' => ['items' => self::pages($engine->holds(...), $a)],
                'orders' => ['items' => self::pages($engine->orders(...), $a)],
                'waiting_payments' => ['items' => self::waiting($engine, $a['order_id'])],
                'remove_waiting_payment' => $engine->removeWaitingPayment($a['key']),
                'erase_customer' => $engine->eraseCustomer($a['customer']),
                'create_hold' => $engine->createHold(
                    self::product($a),
                    $a['quantity'],
                    $a['ttl'] ?? null,
                    $a['key'] ?? null,
                    $a['customer'] ?? null,
                    $a['at_most'] ?? false,
                    $a['metadata'] ?? null
                ),
                'create_holds' => self::cart($engine->createHolds(
                    array_map($lines, $a['items']),
                    $a['ttl'] ?? null,
                    $a['key'] ?? null,
                    $a['customer'] ?? null,
                    $a['metadata'] ?? null
                )),
                'change_quantity' => $engine->changeQuantity(
                    $a['id'],
                    $a['quantity'],
                    $a['key'] ?? null,
                    $a['token'] ?? null
                ),
                'cart' => self::cart($engine->cart($a['id'])),
                'release_cart' => self::cart($engine->releaseCart($a['id'], $a['token'] ?? null)),
                'extend_cart' => self::cart($engine->extendCart($a['id'], $a['ttl'] ?? null, $a['token'] ?? null)),
                'create_hold_batch' => ['results' => array_map(
                    self::result(...),
                    $engine->createHoldBatch(array_map(self::request(...), $a['requests']))
                )],
                'hold' => $engine->hold($a['id']),
                'release_hold' => $engine->releaseHold($a['id'], $a['token'] ?? null),
                'extend_hold' => $engine->extendHold($a['id'], $a['ttl'] ?? null, $a['token'] ?? null),
                'create_order' => self::createOrder($engine, $a),
                'order' => $engine->order($a['id']),
                'order_by_reference' => $engine->orderByReference($a['reference']),
                'order_by_payment' => $engine->orderByPayment($a['provider'], $a['reference']),
                'extend_order' => $engine->extendOrder($a['id'], $a['ttl'] ?? null),
                'cancel_order' => $engine->cancelOrder($a['id'], $a['reason'] ?? null),
                'refund_order' => $engine->refundOrder(
                    $a['id'],
                    self::units($a),
                    $a['amount'] ?? null,
                    $a['restock'] ?? false,
                    $a['owed'] ?? false,
                    $a['reason'] ?? null,
                    $a['key'] ?? null
                ),
                'restock_order' => $engine->restockOrder($a['id'], self::units($a), $a['key'] ?? null),
                'set_payment_reference' => $engine->setPaymentReference(
                    $a['id'],
                    $a['provider'],
                    $a['reference']
                ),
                'record_payment' => $engine->recordPayment(
                    $a['status'],
                    $a['order_id'] ?? null,
                    $a['payment_token'] ?? null,
                    $a['key'] ?? null,
                    $a['amount'] ?? null,
                    $a['currency'] ?? null,
                    $a['payment_reference'] ?? null,
                    $a['order_reference'] ?? null
                ),
                'sweep' => $engine->sweep(),
                'events' => ['types' => self::types($engine, $a['product_id'])],
                'close' => self::close($engine),
                default => throw new RuntimeException("unknown call {$step['call']}"),
            };
            return self::fields($answer);
        } catch (StockadeException $error) {
            return ['code' => $error->error] + self::fields($error);
        }
    }

    /**
     * Arguments by PHP's names: on_sale_from is onSaleFrom.
     *
     * @param array<string, mixed> $a
     * @return array<string, mixed>
     */
    private static function named(array $a): array
    {
        $named = [];
        foreach ($a as $name => $value) {
            $named[lcfirst(str_replace('_', '', ucwords($name, '_')))] = $value;
        }
        return $named;
    }

    /** @param array<string, mixed> $a */
    private static function product(array $a): int|string
    {
        return isset($a['sku']) ? "sku:{$a['sku']}" : $a['product_id'];
    }

    /** @return array<string, mixed> */
    private static function put(PutOutcome $outcome): array
    {
        return ['created' => $outcome->created] + self::fields($outcome->product);
    }

    /**
     * @param array<string, mixed> $a
     * @return list<array<string, mixed>>
     */
    private static function pages(callable $list, array $a): array
    {
        if (isset($a['sku'])) {
            $a = ['product_id' => "sku:{$a['sku']}"] + array_diff_key($a, ['sku' => 0]);
        }
        $items = [];
        do {
            $page = $list(...self::named($a));
            array_push($items, ...array_map(self::fields(...), $page->items));
            $a['after'] = $page->next;
        } while ($page->next !== null);
        return $items;
    }

    /** @return list<array<string, mixed>> */
    private static function waiting(Client $engine, int $orderId): array
    {
        $items = [];
        $after = null;
        do {
            $page = $engine->waitingPayments($after, 1);
            foreach ($page->items as $payment) {
                if ($payment->orderId === $orderId) {
                    $items[] = self::fields($payment);
                }
            }
            $after = $page->next;
        } while ($after !== null);
        return $items;
    }

    /** @param array<string, mixed> $a */
    private static function createOrder(Client $engine, array $a): Order
    {
        $terms = [
            'key' => $a['key'] ?? null,
            'amount' => $a['amount'] ?? null,
            'currency' => $a['currency'] ?? null,
            'reference' => $a['reference'] ?? null,
            'paymentTtl' => $a['payment_ttl'] ?? null,
            'metadata' => $a['metadata'] ?? null,
        ];
        if (!isset($a['holds'])) {
            $terms['token'] = $a['token'] ?? null;
            return $engine->createOrder($a['hold_id'], $a['product_id'], ...$terms);
        }
        $hold = static fn (array $hold): array => [$hold['id'], $hold['token'] ?? null];
        return $engine->createOrderOf(array_map($hold, $a['holds']), ...$terms);
    }

    /**
     * @param array<string, mixed> $a
     * @return ?list<array{int, int}>
     */
    private static function units(array $a): ?array
    {
        $units = static fn (array $line): array => [$line['line'], $line['quantity']];
        return isset($a['lines']) ? array_map($units, $a['lines']) : null;
    }

    /** @param array<string, mixed> $a */
    private static function request(array $a): HoldRequest
    {
        return new HoldRequest(
            self::product($a),
            $a['quantity'],
            $a['ttl'] ?? null,
            $a['key'] ?? null,
            $a['customer'] ?? null,
            $a['at_most'] ?? false,
            $a['metadata'] ?? null
        );
    }

    /** @return array<string, mixed> */
    private static function cart(Cart $cart): array
    {
        return ['cart_id' => $cart->id] + self::fields($cart);
    }

    /** @return array<string, mixed> */
    private static function result(HoldResult $result): array
    {
        return ['code' => $result->error->error ?? ''] + self::fields($result->hold ?? $result->error);
    }

    /** @return array<string, mixed> */
    private static function close(Client $engine): array
    {
        $engine->close();
        return [];
    }

    /** @return list<string> */
    private static function types(Client $engine, int $productId): array
    {
        $types = [];
        $cursor = 0;
        while (($events = $engine->eventsAfter($cursor)) !== []) {
            foreach ($events as $event) {
                $cursor = $event->cursor;
                if ($event->productId === $productId) {
                    $types[] = $event->kind->value;
                }
            }
        }
        return $types;
    }

    /** An answer with the contract's names: productId is product_id, quantity is qty. */
    private static function fields(mixed $answer): mixed
    {
        if ($answer instanceof \BackedEnum) {
            return $answer->value;
        }
        if (is_object($answer) && !$answer instanceof \DateTimeInterface) {
            $answer = get_object_vars($answer);
        }
        if (!is_array($answer)) {
            return $answer;
        }
        $fields = [];
        foreach ($answer as $name => $value) {
            if (is_string($name)) {
                $name = strtolower((string) preg_replace('/[A-Z]/', '_$0', $name));
                $name = $name === 'quantity' ? 'qty' : $name;
            }
            $fields[$name] = self::fields($value);
        }
        return $fields;
    }

    /**
     * @param array<string, mixed> $step
     * @param array<string, mixed> $got
     * @param array<string, mixed> $answers
     */
    private function mismatch(array $step, array $got, array $answers): ?string
    {
        $shown = json_encode($got);
        if (($got['code'] ?? null) !== ($step['code'] ?? null)) {
            return 'expected ' . ($step['code'] ?? 'success') . ", got {$shown}";
        }
        $is = self::resolve($step['is'] ?? [], $answers);
        if ($is !== [] && !self::fits($is, $got)) {
            return 'expected ' . json_encode($is) . ", got {$shown}";
        }
        foreach (self::resolve($step['later'] ?? [], $answers) as $field => $moment) {
            if ($got[$field] <= $moment) {
                return "expected a later {$field}, got {$shown}";
            }
        }
        return null;
    }

    private static function fits(mixed $expected, mixed $got): bool
    {
        if (!is_array($expected)) {
            // Moments are objects.
            return is_object($expected) ? $expected == $got : $expected === $got;
        }
        // An empty object is an empty list in PHP: it fits every object.
        $isList = is_array($got) && array_is_list($got);
        if (!is_array($got) || ($isList && array_is_list($expected) && count($expected) !== count($got))) {
            return false;
        }
        foreach ($expected as $name => $value) {
            if (!array_key_exists($name, $got) || !self::fits($value, $got[$name])) {
                return false;
            }
        }
        return true;
    }

    /** @param array<string, mixed> $answers */
    private static function resolve(mixed $value, array $answers): mixed
    {
        if (is_array($value)) {
            return array_map(static fn (mixed $part): mixed => self::resolve($part, $answers), $value);
        }
        if (!is_string($value)) {
            return $value;
        }
        if (preg_match('/^\$([\w.]+)(?:\+(\d+))?$/', $value, $found) === 1) {
            $part = self::find($found[1], $answers);
            return isset($found[2]) ? $part + (int) $found[2] : $part;
        }
        return preg_replace_callback(
            '/\$([\w.]+)/',
            static fn (array $found): string => (string) self::find($found[1], $answers),
            $value
        );
    }

    /** @param array<string, mixed> $answers */
    private static function find(string $path, array $answers): mixed
    {
        foreach (explode('.', $path) as $key) {
            if (!isset($answers[$key])) {
                throw new RuntimeException("nothing at {$path}");
            }
            $answers = $answers[$key];
        }
        return $answers;
    }
}
