<?php

declare(strict_types=1);

namespace Stockade\Tests;

use PHPUnit\Framework\TestCase;
use Stockade\Engine;
use Stockade\Event;
use Stockade\EventKind;
use Stockade\Exception\InsufficientStock;
use Stockade\Exception\Misuse;
use Stockade\HoldRequest;
use Stockade\HoldResult;
use Stockade\OrderStatus;
use Stockade\Outcome;
use Stockade\PaymentStatus;

/** Who asked, what the shop keeps with holds and orders, and payments that name their order by a reference. */
final class ActorsTest extends TestCase
{
    public function testEventsAndOrdersNameWhoAsked(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '5', 9)->id;
        $clerk = $engine->actingAs('Bjørn');
        $till = $clerk->actingAs('till 1');
        $hold = $clerk->createHold($lamp, 1);
        $order = $till->createOrder($hold->id, $lamp, reference: '2026-1');
        self::assertSame('till 1', $order->createdBy);
        $engine->cancelOrder($order->id, 'changed my mind');
        self::assertSame('till 1', $engine->order($order->id)->createdBy);
        self::assertSame('till 1', $engine->orders(reference: '2026-1')->items[0]->createdBy);
        $told = static fn (Event $event): array => [$event->kind, $event->actor, $event->reference, $event->reason];
        self::assertSame([
            [EventKind::HoldCreated, 'Bjørn', null, null],
            [EventKind::OrderCreated, 'till 1', '2026-1', null],
            [EventKind::OrderCancelled, null, '2026-1', 'changed my mind'],
        ], array_map($told, array_slice($till->eventsAfter(), 2)));
        $hold = $engine->createHold($lamp, 1);
        self::assertNull($engine->createOrder($hold->id, $lamp)->createdBy);
    }

    public function testAnEngineStaysOpenAsLongAsAnObjectOfItLives(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $clerk = $engine->actingAs('clerk');
        unset($clerk);
        $engine->createProduct('Lamp', '5', 9);
        $engine = $engine->actingAs('clerk')->actingAs('till');
        $engine->createProduct('Mug', '5', 9);
        self::assertSame([null, null, 'till', 'till'], array_column($engine->eventsAfter(), 'actor'));
        $engine->__destruct();
        $this->expectException(Misuse::class);
        $engine->ping();
    }

    /** @dataProvider closers */
    public function testWhoeverClosesAnEngineClosesItForAll(int $closer): void
    {
        $engine = Engine::open('sqlite::memory:');
        $all = [$engine, $engine->actingAs('clerk')];
        $all[$closer]->close();
        $refused = 0;
        foreach ($all as $one) {
            try {
                $one->ping();
            } catch (Misuse $error) {
                self::assertSame('the engine is closed', $error->getMessage());
                $refused++;
            }
            $one->close();
        }
        self::assertSame(2, $refused);
    }

    /** @return iterable<string, array{int}> */
    public static function closers(): iterable
    {
        yield 'the one that opened it' => [0];
        yield 'one of its users' => [1];
    }

    public function testASharedEngineOutlivesItsUsers(): void
    {
        $settings = ['max_per_hold' => 9];
        $clerk = Engine::shared('sqlite::memory:', $settings)->actingAs('clerk');
        $clerk->createProduct('Lamp', '5', 9);
        $clerk->close();
        self::assertCount(1, Engine::shared('sqlite::memory:', $settings)->products()->items);
    }

    public function testHoldsAndOrdersKeepMetadata(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '5', 20)->id;
        $metadata = ['table' => 4, 'ratio' => 1.0, 'name' => 'Lämp/1', 'empty' => []];
        $hold = $engine->createHold($lamp, 1, metadata: $metadata);
        self::assertSame($metadata, $hold->metadata);
        self::assertSame($metadata, $engine->hold($hold->id)->metadata);
        self::assertNull($engine->createHold($lamp, 1)->metadata);
        self::assertSame([], $engine->createHold($lamp, 1, metadata: [])->metadata);
        $cart = $engine->createHolds([[$lamp, 1]], metadata: '{"row": 18446744073709551616}');
        self::assertSame(['row' => '18446744073709551616'], $cart->holds[0]->metadata);

        $order = $engine->createOrder($hold->id, $lamp, metadata: ['gift' => true]);
        self::assertSame(['gift' => true], $order->metadata);
        self::assertSame(['gift' => true], $engine->orders()->items[0]->metadata);
        self::assertSame(['gift' => false], $engine->createOrderOf($cart, metadata: '{"gift":false}')->metadata);
        $events = array_column($engine->eventsAfter(), 'metadata', 'cursor');
        self::assertContains($metadata, $events);
        self::assertSame(['gift' => false], end($events));
    }

    public function testARequestWithWrongMetadataCostsOnlyItself(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '5', 9)->id;
        $metadata = [['row' => 1], '{"row":2}', null, [1], '{', ['row' => NAN], "{\"row\":\"\0\"}"];
        $request = static fn (array|string|null $metadata): HoldRequest
            => new HoldRequest($lamp, 1, metadata: $metadata);
        $results = $engine->createHoldBatch(array_map($request, $metadata));
        $words = array_map(static fn (HoldResult $result): string => $result->error->error ?? '', $results);
        self::assertSame(['', '', '', ...array_fill(0, 4, 'invalid_argument')], $words);
        $kept = array_map(static fn (HoldResult $result): ?array => $result->hold?->metadata, $results);
        self::assertSame([['row' => 1], ['row' => 2], null], array_slice($kept, 0, 3));
    }

    public function testAShortLineNamesItsSku(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '5', 1, sku: 'LÄMP 1')->id;
        $mug = $engine->createProduct('Mug', '5', 1)->id;
        try {
            $engine->createHolds([[$lamp, 2], [$mug, 2]]);
            self::fail('they were held');
        } catch (InsufficientStock $error) {
            self::assertSame([$lamp, $mug], array_column($error->short, 'productId'));
            self::assertSame(['LÄMP 1', null], array_map(static fn ($line): ?string => $line->sku, $error->short));
        }
    }

    public function testAPaymentWaitsForTheOrderOfItsReference(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '5', 9)->id;
        $early = $engine->recordPayment('paid', key: 'one', amount: '5', orderReference: '2026-1');
        self::assertSame(PaymentStatus::Waiting, $early->status);
        $engine->recordPayment('paid', key: 'two', paymentReference: 'stripe/pi_2');
        [$one, $two] = $engine->waitingPayments()->items;
        self::assertSame(['one', null, false, '2026-1', null], [
            $one->key, $one->orderId, $one->byToken, $one->orderReference, $one->paymentReference,
        ]);
        self::assertSame(['two', null, null, 'stripe/pi_2'], [
            $two->key, $two->orderId, $two->orderReference, $two->paymentReference,
        ]);

        [$first, $second] = [$engine->createHold($lamp, 1), $engine->createHold($lamp, 1)];
        $order = $engine->createOrder($first->id, $lamp, reference: '2026-1');
        self::assertSame(OrderStatus::Paid, $order->status);
        $other = $engine->createOrder($second->id, $lamp);
        self::assertSame(OrderStatus::PendingPayment, $other->status);
        self::assertSame(OrderStatus::Paid, $engine->setPaymentReference($other->id, 'stripe', 'pi_2')->status);
        self::assertSame([], $engine->waitingPayments()->items);
    }

    public function testADisputeIsTold(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '5', 9)->id;
        $order = $engine->createOrder($engine->createHold($lamp, 1)->id, $lamp, reference: '2026-1');
        $engine->recordPayment('paid', $order->id, paymentReference: 'stripe/pi_1');
        $engine->setPaymentReference($order->id, 'stripe', 'pi_1');
        foreach (['disputed', 'Chargeback'] as $status) {
            $disputed = $engine->recordPayment($status, key: $status, paymentReference: 'stripe/pi_1');
            self::assertSame(PaymentStatus::Recorded, $disputed->status);
            $events = $engine->eventsAfter();
            $last = end($events);
            self::assertSame([EventKind::PaymentDisputed, $order->id, '2026-1'], [
                $last->kind, $last->orderId, $last->reference,
            ]);
        }
        self::assertSame(Outcome::Disputed, Outcome::from('disputed'));
        self::assertSame(OrderStatus::Paid, $engine->order($order->id)->status);
    }
}
