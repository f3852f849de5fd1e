<?php

declare(strict_types=1);

namespace Stockade\Tests;

use DateTimeImmutable;
use DateTimeInterface;
use PHPUnit\Framework\TestCase;
use Stockade\Client;
use Stockade\Engine;
use Stockade\Exception\StockadeException;
use Stockade\HoldRequest;
use Stockade\Http\HttpClient;
use Stockade\PutProduct;
use UnitEnum;

/** The drivers answer alike: values and exceptions, also for what is odd. */
final class ParityTest extends TestCase
{
    private const TOKEN = '0123456789abcdef0123456789abcdef';

    /** @var array<string, Client> */
    private static array $clients = [];
    /** @var list<Running> */
    private static array $running = [];

    public static function setUpBeforeClass(): void
    {
        foreach (['ffi', 'http'] as $driver) {
            self::$running[] = $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
            $client = $driver === 'ffi' ? Engine::open($running->url) : HttpClient::open($running->url);
            self::$clients[$driver] = $client;
            $client->createProduct('Lamp', '19.99', 50, sku: 'LAMP-1', metadata: '{"a": 1.0, "b": {}}');
            $client->createProduct('Yen', 200, 50, currency: 'JPY');
            $hold = $client->createHold(1, 2, customer: 'ada', metadata: ['size' => 'L']);
            $order = $client->createOrder($hold->id, 'sku:LAMP-1', reference: 'R-1', amount: '40.5');
            $client->recordPayment('PAID', $order->id, key: 'e-1');
            $client->createHolds([[1, 1], ['2', '3']], 60, 'cart', 'ada');
            $client->createOrder($client->createHold(2, 1)->id, 2);
        }
    }

    public static function tearDownAfterClass(): void
    {
        foreach (self::$clients as $client) {
            $client->close();
        }
        [self::$clients, self::$running] = [[], []];
    }

    /** @dataProvider calls */
    public function testDriversAnswerAlike(callable $call): void
    {
        $ffi = self::answer(self::$clients['ffi'], $call);
        self::assertSame($ffi, self::answer(self::$clients['http'], $call));
        self::assertNotSame([], $ffi);
    }

    /** @return iterable<string, array{callable(Client): mixed}> */
    public static function calls(): iterable
    {
        $calls = [
            'product' => fn (Client $c) => $c->product('1'),
            'product by SKU' => fn (Client $c) => $c->product('sku:LAMP-1'),
            'yen' => fn (Client $c) => $c->product(2),
            'no SKU' => fn (Client $c) => $c->product('sku:'),
            'NUL' => fn (Client $c) => $c->product("sku:a\0b"),
            'Latin-1' => fn (Client $c) => $c->product("sku:\xe9"),
            'large id' => fn (Client $c) => $c->product('9223372036854775808'),
            'largest id' => fn (Client $c) => $c->hold('18446744073709551615'),
            'too large id' => fn (Client $c) => $c->order('99999999999999999999999'),
            'zeros before an id' => fn (Client $c) => $c->product('0001'),
            'negative id' => fn (Client $c) => $c->hold(-1),
            'page' => fn (Client $c) => $c->products(0, 1),
            'bad limit' => fn (Client $c) => $c->products(0, 5_000_000_000),
            'hold' => fn (Client $c) => $c->hold(1),
            'cart' => fn (Client $c) => $c->cart(2),
            'replayed cart' => fn (Client $c) => $c->createHolds([[1, 1], ['2', '3']], 60, 'cart', 'ada'),
            'other request, same key' => fn (Client $c) => $c->createHolds([[1, 2]], 60, 'cart', 'ada'),
            'empty cart' => fn (Client $c) => $c->createHolds([]),
            'short cart' => fn (Client $c) => $c->createHolds([[1, 999], ['sku:LAMP-1', 1], [2, 999]]),
            'quantity 0' => fn (Client $c) => $c->createHold(1, 0),
            'quantity 4294967296' => fn (Client $c) => $c->createHold(1, '4294967296'),
            'ttl 0' => fn (Client $c) => $c->createHold(1, 1, 0),
            'ttl NAN' => fn (Client $c) => $c->createHold(1, 1, NAN),
            'ttl over all' => fn (Client $c) => $c->createHold(1, 1, '999999999999'),
            'metadata that ends the request' => fn (Client $c) => $c->createHold(1, 1, metadata: '{}},"actor":"x"'),
            'metadata of two values' => fn (Client $c) => $c->createHold(1, 1, metadata: '{},{}'),
            'metadata list' => fn (Client $c) => $c->createHold(1, 1, metadata: '[1]'),
            'metadata empty' => fn (Client $c) => $c->createHold(1, 1, metadata: ''),
            'metadata with odd names' => fn (Client $c) => $c->createHold(1, 1, metadata: '{"\u0000a":1,"":2}'),
            'metadata too long' => fn (Client $c) => $c->createHold(1, 1, metadata: ['a' => str_repeat('x', 4090)]),
            'metadata too deep' => fn (Client $c) => $c->createHold(
                1,
                1,
                metadata: '{"a":' . str_repeat('[', 200) . str_repeat(']', 200) . '}'
            ),
            'key empty' => fn (Client $c) => $c->createHold(1, 1, key: ''),
            'customer too long' => fn (Client $c) => $c->createHold(1, 1, customer: str_repeat('x', 256)),
            'batch' => fn (Client $c) => $c->createHoldBatch([
                new HoldRequest(1, 1),
                new HoldRequest(1, '2abc'),
                new HoldRequest('sku:none', 1),
                new HoldRequest(1, 9_999),
                new HoldRequest(2, 1, metadata: '{'),
            ]),
            'empty batch' => fn (Client $c) => $c->createHoldBatch([]),
            'no hold' => fn (Client $c) => $c->releaseHold(999, self::TOKEN),
            'malformed token' => fn (Client $c) => $c->releaseHold(1, 'x'),
            'used hold' => fn (Client $c) => $c->releaseHold(1),
            'wrong token' => fn (Client $c) => $c->extendHold(2, 60, self::TOKEN),
            'order of a used hold' => fn (Client $c) => $c->createOrderOf([1, [2, self::TOKEN], 999]),
            'order of nothing' => fn (Client $c) => $c->createOrderOf([]),
            'order of another product' => fn (Client $c) => $c->createOrder(2, 2),
            'order' => fn (Client $c) => $c->order(1),
            'order of yen' => fn (Client $c) => $c->order(2),
            'by reference' => fn (Client $c) => $c->orderByReference('R-1'),
            'taken reference' => fn (Client $c) => $c->createOrderOf([2], reference: 'R-1'),
            'bad amount' => fn (Client $c) => $c->createOrderOf([2], amount: '1.23456'),
            'float amount' => fn (Client $c) => $c->createOrderOf([2], amount: 1.5),
            'bad currency' => fn (Client $c) => $c->createOrderOf([2], currency: 'eur'),
            'refund too large' => fn (Client $c) => $c->refundOrder(1, amount: '1000'),
            'refund of no line' => fn (Client $c) => $c->refundOrder(1, []),
            'not paid' => fn (Client $c) => $c->refundOrder(2),
            'nothing returned' => fn (Client $c) => $c->restockOrder(1),
            'payment reference' => fn (Client $c) => $c->setPaymentReference(1, 'stripe', 'pi_1'),
            'by payment' => fn (Client $c) => $c->orderByPayment('stripe', 'pi_1'),
            'payment of nothing' => fn (Client $c) => $c->recordPayment('paid'),
            'payment word' => fn (Client $c) => $c->recordPayment("weird\n", 1),
            'payment token' => fn (Client $c) => $c->recordPayment('paid', paymentToken: 'pt_01_' . self::TOKEN),
            'wrong payment token' => fn (Client $c) => $c->recordPayment('paid', 1, 'pt_1_' . self::TOKEN),
            'replayed payment' => fn (Client $c) => $c->recordPayment('PAID', 1, key: 'e-1'),
            'early payment' => fn (Client $c) => $c->recordPayment('paid', 77, key: 'e-2', amount: '7.50'),
            'waiting payments' => fn (Client $c) => $c->waitingPayments(),
            'remove one' => fn (Client $c) => $c->removeWaitingPayment('e-2'),
            'remove none' => fn (Client $c) => $c->removeWaitingPayment('none'),
            'holds' => fn (Client $c) => $c->holds('ada', 'sku:LAMP-1', 'active'),
            'holds by time' => fn (Client $c) => $c->holds(createdAfter: '2100-01-01t00:00:00.5+02:00'),
            'no such status' => fn (Client $c) => $c->holds(status: 'odd'),
            'orders' => fn (Client $c) => $c->orders(status: 'paid', disposition: 'none'),
            'events' => fn (Client $c) => $c->actingAs('clerk')->eventsAfter(0, 4),
            'no actor' => fn (Client $c) => $c->actingAs(''),
            'actor with a control character' => fn (Client $c) => $c->actingAs("a\u{85}b"),
            'audit' => fn (Client $c) => $c->audit(),
            'sweep' => fn (Client $c) => $c->sweep(),
            'ping' => fn (Client $c) => ['ping' => $c->ping()],
            'put' => fn (Client $c) => $c->putProduct(
                'sku:NEW',
                'New',
                '1.5',
                'KWD',
                onSaleFrom: new DateTimeImmutable('2100-01-02 03:04:05.678901'),
                onSaleUntil: '2100-02-28T00:00:00Z'
            ),
            'off sale' => fn (Client $c) => $c->createHold('sku:NEW', 1),
            'put again' => fn (Client $c) => $c->putProduct('sku:NEW', 'New', '1.5', 'KWD', stock: 3),
            'put by a version' => fn (Client $c) => $c->putProduct('sku:NEW', 'New', '1', 'KWD', version: 99),
            'no such day' => fn (Client $c) => $c->putProduct('sku:NEW', 'x', 1, onSaleFrom: '2026-02-30T00:00:00Z'),
            'puts' => fn (Client $c) => $c->putProducts([
                new PutProduct('sku:A', 'A', '1'),
                new PutProduct('sku:B', 'B', '1.555'),
                new PutProduct('sku:C', 'C', '1', 'EU'),
                new PutProduct('sku:D', 'D', 1.5),
            ]),
            'change' => fn (Client $c) => $c->changeProduct('sku:NEW', [
                'price' => '2', 'onSaleUntil' => null, 'onSaleFrom' => null, 'metadata' => ['x' => 1],
            ]),
            'clear' => fn (Client $c) => $c->changeProduct('sku:NEW', ['metadata' => null, 'safetyStock' => '1']),
            'odd change' => fn (Client $c) => $c->changeProduct('sku:NEW', ['colour' => 'red']),
            'archive' => fn (Client $c) => $c->changeProduct('sku:NEW', ['archived' => true]),
            'hold of an archived one' => fn (Client $c) => $c->createHold('sku:NEW', 1),
            'taken SKU' => fn (Client $c) => $c->createProduct('x', 1, 1, sku: 'LAMP-1'),
            'adjust' => fn (Client $c) => $c->adjustStock(1, -1, 'broken', version: 0),
            'adjust to' => fn (Client $c) => $c->adjustStock(1, null, 'count', to: 40),
            'adjust both' => fn (Client $c) => $c->adjustStock(1, 1, 'count', to: 40),
            'adjust below 0' => fn (Client $c) => $c->adjustStock(1, -1_000, 'broken'),
            'erase' => fn (Client $c) => $c->eraseCustomer('ada'),
            'metadata emptied' => fn (Client $c) => $c->hold(1),
        ];
        foreach ($calls as $name => $call) {
            yield $name => [$call];
        }
    }

    /** @return array<mixed> */
    private static function answer(Client $client, callable $call): array
    {
        try {
            return ['answer' => self::plain($call($client))];
        } catch (StockadeException $error) {
            return ['class' => $error::class, 'message' => self::message($error)] + self::details($error);
        }
    }

    /** A message without what the parser of JSON says: there are two. */
    private static function message(StockadeException $error): string
    {
        return (string) preg_replace('/(must be a JSON object).*/', '$1', $error->getMessage());
    }

    /** @return array<string, mixed> */
    private static function details(StockadeException $error): array
    {
        return ['code' => $error->getCode()] + self::plain(array_diff_key(
            get_object_vars($error),
            ['xdebug_message' => 0]
        ));
    }

    /** An answer without what differs by chance: the moment, the token. */
    private static function plain(mixed $value, string $name = ''): mixed
    {
        if ($value instanceof Client) {
            return 'client';
        }
        if ($value instanceof StockadeException) {
            return [self::message($value)] + self::details($value);
        }
        if ($value instanceof UnitEnum) {
            return $value::class . '::' . $value->name;
        }
        if ($value instanceof DateTimeInterface) {
            $isFixed = str_starts_with($name, 'onSale') || $name === 'moment';
            return $value->getTimezone()->getName() . ($isFixed ? $value->format('c u') : '');
        }
        if (is_string($value) && preg_match('/^(?:pt_\d+_|erased-)?[0-9a-f]{32}$/D', $value) === 1) {
            return 'token';
        }
        if (!is_array($value) && !is_object($value)) {
            return $value;
        }
        $plain = is_object($value) ? ['class' => $value::class] : [];
        foreach (is_object($value) ? get_object_vars($value) : $value as $key => $part) {
            $plain[$key] = self::plain($part, (string) $key);
        }
        return $plain;
    }
}
