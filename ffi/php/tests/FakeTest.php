<?php

declare(strict_types=1);

namespace Stockade\Tests;

use PHPUnit\Framework\AssertionFailedError;
use PHPUnit\Framework\TestCase;
use ReflectionMethod;
use ReflectionNamedType;
use Stockade\Client;
use Stockade\Exception\InsufficientStock;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\Misuse;
use Stockade\Exception\NotFound;
use Stockade\Exception\Unavailable;
use Stockade\HoldRequest;
use Stockade\HoldStatus;
use Stockade\OrderStatus;
use Stockade\PaymentStatus;
use Stockade\Testing\FakeClient;
use Stockade\Testing\Make;
use Stockade\Testing\RecordedCall;

/** The fake records calls, returns configured answers, and its assertions hold and fail. */
final class FakeTest extends TestCase
{
    public function testACheckoutFromHoldToRefund(): void
    {
        $fake = (new FakeClient())->put(Make::product(id: 7, sku: 'LAMP-1', price: '19.99'));
        self::assertSame(1_999, $fake->product('sku:LAMP-1')->priceMinor);
        $hold = $fake->actingAs('clerk')->createHold('sku:LAMP-1', '2', 60, 'k', 'ada', metadata: ['size' => 'L']);
        self::assertSame([7, 2, 'ada', ['size' => 'L']], [
            $hold->productId, $hold->quantity, $hold->customer, $hold->metadata,
        ]);
        self::assertEqualsWithDelta(60, $hold->expiresAt->getTimestamp() - time(), 2);
        $fake->assertHeld('sku:LAMP-1', 2);
        $fake->assertHeld(7);
        $fake->assertNotHeld(8);
        $fake->assertNothingOrdered();

        $order = $fake->createOrder($hold->id, 7, reference: 'R-1');
        self::assertSame(['39.98', 3_998], [$order->amount, $order->amountMinor]);
        self::assertSame(HoldStatus::Converted, $fake->hold($hold->id)->status);
        $fake->assertOrdered($hold->id);
        $receipt = $fake->recordPayment('paid', paymentToken: $order->paymentToken);
        self::assertSame(PaymentStatus::Applied, $receipt->status);
        self::assertSame(PaymentStatus::Waiting, $fake->recordPayment('paid', 999)->status);
        self::assertSame(OrderStatus::Paid, $fake->orderByReference('R-1')->status);
        $fake->assertPaymentRecorded('paid');
        self::assertSame(OrderStatus::Refunded, $fake->refundOrder($order->id)->status);
        $fake->assertRefunded($order->id);

        self::assertSame('clerk', $fake->calls('createHold')[0]->actor);
        self::assertSame('k', $fake->calls('createHold')[0]->arguments['key']);
        $fake->assertCalled('createHold', 1);
        $fake->assertCalled('createHold', static fn (RecordedCall $call): bool => $call->arguments['ttl'] === 60);
        $fake->assertNotCalled('sweep');
    }

    public function testItAnswersWhatItIsTold(): void
    {
        $fake = new FakeClient();
        $fake->answer('createHold', Make::error('unavailable', retryAfter: 2.0), Make::hold(id: 9), static fn (): mixed
            => Make::error('insufficient_stock', available: 1));
        self::assertInstanceOf(Unavailable::class, self::thrown(fn () => $fake->createHold(1, 1)));
        $fake->assertNothingHeld();
        self::assertSame(9, $fake->createHold(1, 1)->id);
        for ($again = 0; $again < 2; $again++) {
            $error = self::thrown(fn () => $fake->createHold(1, 1));
            self::assertInstanceOf(InsufficientStock::class, $error);
            self::assertSame(1, $error->available);
        }
        self::assertSame($error, $fake->calls('createHold')[3]->error);
        $fake->answer('createHold');
        self::assertSame(3, $fake->createHold(1, 3)->quantity);
        $this->expectException(\InvalidArgumentException::class);
        $fake->answer('hold_all', 1);
    }

    public function testArgumentsAreCheckedAndUnknownThingsAreNotFound(): void
    {
        $fake = new FakeClient();
        $invalid = [
            fn () => $fake->createHold(1, '2abc'),
            fn () => $fake->createHolds([[1]]),
            fn () => $fake->createHolds([]),
            fn () => $fake->createOrderOf([]),
            fn () => $fake->recordPayment('odd', 1),
            fn () => $fake->hold('x'),
        ];
        foreach ($invalid as $call) {
            self::assertInstanceOf(InvalidArgument::class, self::thrown($call));
        }
        $fake->assertNothingHeld();
        $unknown = [fn () => $fake->hold(1), fn () => $fake->product('sku:x'), fn () => $fake->createOrder(1, 1)];
        foreach ($unknown as $call) {
            self::assertInstanceOf(NotFound::class, self::thrown($call));
        }
        $fake->close();
        self::assertInstanceOf(Misuse::class, self::thrown(fn () => $fake->ping()));
    }

    public function testCartsAndBatchesCountAsHolds(): void
    {
        $fake = new FakeClient();
        $lines = static function (): iterable {
            yield [1, 2];
            yield ['sku:B', 3];
        };
        $cart = $fake->createHolds($lines());
        self::assertSame([[1, 2], ['sku:B', 3]], $fake->calls('createHolds')[0]->arguments['lines']);
        $fake->assertHeld('sku:B', 3);
        $results = $fake->createHoldBatch([new HoldRequest(5, 1), new HoldRequest(6, 0)]);
        self::assertInstanceOf(InvalidArgument::class, $results[1]->error);
        $fake->assertHeld(5);
        $fake->assertNotHeld(6);
        $fake->releaseCart($cart->id, $cart->token);
        $fake->assertReleased($cart->holds[1]->id);
        self::assertSame(HoldStatus::Released, $fake->cart($cart->id)->holds[0]->status);
        self::assertSame(2, count($fake->holds(status: 'released')->items));
        self::assertNotNull($fake->holds(limit: 1)->next);
        self::assertSame(2, count($fake->createOrderOf($cart)->lines));
    }

    /** @return iterable<string, array{callable(FakeClient): mixed}> */
    public static function failures(): iterable
    {
        yield 'held' => [fn (FakeClient $f) => $f->assertHeld(2)];
        yield 'held so many' => [fn (FakeClient $f) => $f->assertHeld(1, 2)];
        yield 'not held' => [fn (FakeClient $f) => $f->assertNotHeld(1)];
        yield 'nothing held' => [fn (FakeClient $f) => $f->assertNothingHeld()];
        yield 'released' => [fn (FakeClient $f) => $f->assertReleased($f->calls('createHold')[0]->answer->id)];
        yield 'ordered' => [fn (FakeClient $f) => $f->assertOrdered(999_999)];
        yield 'nothing ordered' => [fn (FakeClient $f) => $f->assertNothingOrdered()];
        yield 'cancelled' => [fn (FakeClient $f) => $f->assertCancelled(1)];
        yield 'refunded' => [fn (FakeClient $f) => $f->assertRefunded(1)];
        yield 'payment' => [fn (FakeClient $f) => $f->assertPaymentRecorded()];
        yield 'called' => [fn (FakeClient $f) => $f->assertCalled('sweep')];
        yield 'called so' => [fn (FakeClient $f) => $f->assertCalled('createHold', static fn (): bool => false)];
        yield 'called so often' => [fn (FakeClient $f) => $f->assertCalled('createHold', 2)];
        yield 'not called' => [fn (FakeClient $f) => $f->assertNotCalled('createHold')];
        yield 'nothing called' => [fn (FakeClient $f) => $f->assertNothingCalled()];
    }

    /** @dataProvider failures */
    public function testAnAssertionThatDoesNotHoldFails(callable $assert): void
    {
        $fake = new FakeClient();
        $hold = $fake->createHold(1, 1);
        $fake->createOrder($hold->id, 1);
        try {
            $assert($fake);
        } catch (AssertionFailedError) {
            return;
        }
        self::fail('the assertion held');
    }

    /** Each method of the interface answers something of its type, or NotFound. */
    public function testEveryMethodIsRecorded(): void
    {
        $arguments = [
            'name' => 'clerk', 'price' => '1', 'stock' => 1, 'quantity' => 1, 'lines' => [[1, 1]], 'requests' => [],
            'holds' => [1], 'status' => 'paid', 'changes' => ['name' => 'x'], 'delta' => 1,
        ];
        foreach (get_class_methods(Client::class) as $name) {
            if (in_array($name, ['actingAs', 'close'], true)) {
                continue;
            }
            $fake = (new FakeClient())->put(Make::product(id: 1), Make::hold(id: 1), Make::order(id: 1));
            $given = [];
            foreach ((new ReflectionMethod(Client::class, $name))->getParameters() as $parameter) {
                if (!$parameter->isOptional()) {
                    $type = $parameter->getType();
                    $isText = $type instanceof ReflectionNamedType && $type->getName() === 'string';
                    $given[$parameter->getName()] = $arguments[$parameter->getName()] ?? ($isText ? 'x' : 1);
                }
            }
            try {
                $fake->$name(...$given);
            } catch (NotFound) {
                self::assertContains($name, [
                    'cart', 'releaseCart', 'extendCart', 'orderByReference', 'orderByPayment', 'removeWaitingPayment',
                ]);
            }
            self::assertSame($name, $fake->calls()[0]->method);
        }
    }

    public function testItNeedsNeitherPhpunitNorAnExtension(): void
    {
        $code = 'require "autoload.php"; $f = new Stockade\Testing\FakeClient(); $f->createHold(1, 1);'
            . 'try { $f->assertNothingHeld(); } catch (AssertionError $e) { echo $e->getMessage(); }';
        $said = shell_exec('cd ' . escapeshellarg(dirname(__DIR__)) . ' && ' . escapeshellarg(PHP_BINARY)
            . ' -n -r ' . escapeshellarg($code) . ' 2>&1');
        self::assertSame('1 holds were made', $said);
    }

    private static function thrown(callable $call): \Throwable
    {
        try {
            $call();
        } catch (\Throwable $error) {
            return $error;
        }
        self::fail('nothing was thrown');
    }
}
