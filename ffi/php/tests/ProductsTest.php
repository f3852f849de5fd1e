<?php

declare(strict_types=1);

namespace Stockade\Tests;

use DateTimeImmutable;
use PHPUnit\Framework\TestCase;
use Stockade\Engine;
use Stockade\EventKind;
use Stockade\Exception\AlreadyExists;
use Stockade\Exception\NotFound;
use Stockade\Exception\NotOnSale;
use Stockade\HoldRequest;
use Stockade\HoldStatus;
use Stockade\OffSale;
use Stockade\Outcome;
use Stockade\PaymentDisposition;
use Stockade\PutProduct;
use Stockade\PutResult;

/** Products as a shop knows them, lists, and waiting payments. */
final class ProductsTest extends TestCase
{
    public function testAProductIsWhatItWasMadeAs(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $from = new DateTimeImmutable('2020-01-01T01:00:00.5+01:00');
        $metadata = ['shelf' => 4, 'ratio' => 1.0, 'name' => 'Lämp/1', 'empty' => [], 'big' => '18446744073709551616'];
        $made = $engine->createProduct(
            'Lamp',
            '1.234',
            9,
            id: 700,
            sku: 'LAMP 1/ä',
            currency: 'KWD',
            metadata: $metadata,
            onSaleFrom: $from,
            onSaleUntil: '2999-01-01T00:00:00Z',
            safetyStock: 2
        );
        self::assertSame([700, 'LAMP 1/ä', '1.234', 1234, 'KWD'], [
            $made->id, $made->sku, $made->price, $made->priceMinor, $made->currency,
        ]);
        self::assertSame([7, 9, 2, false], [$made->stock, $made->inStock, $made->safetyStock, $made->archived]);
        self::assertSame($metadata, $made->metadata);
        self::assertEquals($from, $made->onSaleFrom);
        self::assertSame('2999-01-01T00:00:00+00:00', $made->onSaleUntil->format(DATE_ATOM));
        self::assertEquals($made, $engine->product('sku:LAMP 1/ä'));
        self::assertSame([], $engine->changeProduct(700, ['metadata' => []])->metadata);
        $kept = $engine->changeProduct(700, ['metadata' => '{"a": 18446744073709551616}'])->metadata;
        self::assertSame(['a' => '18446744073709551616'], $kept);
    }

    public function testWhereverAnIdMayStandASkuMay(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '5', 20, sku: 'LAMP')->id;
        $hold = $engine->createHold('sku:LAMP', 1, customer: 'ann');
        self::assertSame([$lamp, 'LAMP', 'ann'], [$hold->productId, $hold->sku, $hold->customer]);
        $cart = $engine->createHolds([['sku:LAMP', 1], [$lamp, 1]]);
        self::assertSame([2, 'LAMP'], [$cart->holds[0]->quantity, $cart->holds[0]->sku]);
        [$held, $missing] = $engine->createHoldBatch([new HoldRequest('sku:LAMP', 1), new HoldRequest('sku:MUG', 1)]);
        self::assertSame([$lamp, 'not_found'], [$held->hold->productId, $missing->error->error]);
        self::assertSame($lamp, $engine->createOrder($hold->id, 'sku:LAMP')->productId);
        self::assertSame(21, $engine->adjustStock('sku:LAMP', 5, 'delivery')->inStock);
        self::assertSame(3, $engine->adjustStock('sku:LAMP', null, 'count', to: 3)->inStock);
        self::assertTrue($engine->putProduct('sku:MUG', 'Mug', 3, stock: 1)->created);
        self::assertFalse($engine->putProduct('sku:MUG', 'Mug', 3)->created);
        self::assertSame(1, $engine->product('sku:MUG')->inStock);
        $this->expectException(NotFound::class);
        $engine->product('sku:lamp');
    }

    public function testAnErrorNamesTheProductAndTheMoment(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '5', 9, sku: 'LAMP', onSaleFrom: '2999-01-01T00:00:00Z');
        try {
            $engine->createProduct('Other', '5', 9, sku: 'LAMP');
            self::fail('it was made');
        } catch (AlreadyExists $error) {
            self::assertSame([$lamp->id, null], [$error->productId, $error->orderId]);
        }
        $reasons = [
            [[], OffSale::Before, '2999-01-01T00:00:00+00:00'],
            [
                ['onSaleFrom' => null, 'onSaleUntil' => '2020-01-01T00:00:00Z'],
                OffSale::Since,
                '2020-01-01T00:00:00+00:00',
            ],
            [['archived' => true], OffSale::Archived, null],
        ];
        foreach ($reasons as [$change, $why, $moment]) {
            $engine->changeProduct('sku:LAMP', $change);
            try {
                $engine->createHold($lamp->id, 1);
                self::fail('it was held');
            } catch (NotOnSale $error) {
                self::assertSame(['not_on_sale', 16, $lamp->id], [$error->error, $error->getCode(), $error->productId]);
                self::assertSame($why, $error->offSale);
                self::assertSame($moment, $error->moment?->format(DATE_ATOM));
            }
        }
        $engine->changeProduct($lamp->id, ['archived' => false, 'onSaleUntil' => null]);
        self::assertSame(1, $engine->createHold($lamp->id, 1)->quantity);
    }

    public function testAProductThatCannotBePutCostsOnlyItself(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $results = $engine->putProducts((static function (): \Generator {
            yield new PutProduct('sku:A', 'A', '1.50', stock: 3, metadata: ['row' => 1]);
            yield new PutProduct('sku:B', 'B', 1.5);
            yield new PutProduct('sku:C', 'C', '1.555');
            yield new PutProduct(-1, 'D', '1');
            yield new PutProduct('sku:E', 'E', '1', onSaleFrom: 'soon');
            yield new PutProduct('sku:F', "F\0", '1');
            yield new PutProduct('sku:G', 'G', '1', version: 3);
            yield new PutProduct(900, 'H', 2, currency: 'JPY');
        })());
        $words = array_map(static fn (PutResult $result): string => $result->error->error ?? '', $results);
        $refused = array_fill(0, 5, 'invalid_argument');
        self::assertSame(['', ...$refused, 'version_mismatch', ''], $words);
        [$first, $last] = [$results[0], $results[7]];
        self::assertSame([true, 'A', 3, ['row' => 1]], [
            $first->created, $first->product->sku, $first->product->inStock, $first->product->metadata,
        ]);
        self::assertSame([900, '2', 'JPY', null], [
            $last->product->id, $last->product->price, $last->product->currency, $last->product->sku,
        ]);
        self::assertSame([], $engine->putProducts([]));
        self::assertCount(2, $engine->products()->items);
        $reasons = array_column($engine->eventsAfter(), 'reason', 'cursor');
        self::assertContains('import', $reasons);
    }

    public function testListsShowNoTokenAndHaveAnEnd(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $lamp = $engine->createProduct('Lamp', '5', 9, sku: 'LAMP')->id;
        $holds = [];
        foreach (['ann', 'bob', 'ann'] as $customer) {
            $holds[] = $engine->createHold($lamp, 1, customer: $customer);
        }
        $page = $engine->holds(customer: 'ann', productId: 'sku:LAMP', status: HoldStatus::Active, limit: 1);
        self::assertSame([$holds[0]->id, '', 'ann'], [
            $page->items[0]->id, $page->items[0]->token, $page->items[0]->customer,
        ]);
        $rest = $engine->holds(customer: 'ann', after: $page->next);
        self::assertSame([$holds[2]->id, null], [$rest->items[0]->id, $rest->next]);
        self::assertCount(2, $engine->holds(createdAfter: $holds[1]->createdAt)->items);
        self::assertCount(1, $engine->holds(createdBefore: $holds[1]->createdAt)->items);
        self::assertSame([], $engine->holds(status: 'expired')->items);

        $order = $engine->createOrder($holds[0]->id, $lamp, reference: '2026-1');
        $engine->cancelOrder($order->id);
        $engine->recordPayment('paid', $order->id);
        $owed = $engine->orders(disposition: PaymentDisposition::NeedsRefund);
        self::assertSame([$order->id, '', 'ann', 'LAMP'], [
            $owed->items[0]->id,
            $owed->items[0]->paymentToken,
            $owed->items[0]->customer,
            $owed->items[0]->lines[0]->sku,
        ]);
        self::assertSame([], $engine->orders(reference: '2026-2')->items);
        self::assertCount(1, $engine->orders(status: 'cancelled', reference: '2026-1')->items);

        $erased = $engine->eraseCustomer('ann');
        self::assertSame([2, 1], [$erased->holds, $erased->orders]);
        self::assertSame([], $engine->orders(customer: 'ann')->items);
        $kinds = array_column($engine->eventsAfter(), 'kind');
        self::assertContains(EventKind::CustomerErased, $kinds);
    }

    public function testAPaymentThatWaitsIsListedAndTakenOut(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $engine->recordPayment('paid', 7, key: 'one', amount: '19.90', currency: 'EUR', paymentReference: 'stripe/pi');
        $engine->recordPayment('failed', 7, key: 'two');
        $page = $engine->waitingPayments(limit: 1);
        [$payment, $next] = [$page->items[0], $engine->waitingPayments($page->next)];
        self::assertSame(['one', 7, false, Outcome::Success, '19.9', 'EUR', 'stripe/pi'], [
            $payment->key, $payment->orderId, $payment->byToken, $payment->outcome,
            $payment->amount, $payment->currency, $payment->paymentReference,
        ]);
        self::assertLessThan($payment->endsAt, $payment->receivedAt);
        self::assertSame(['two', null, null], [$next->items[0]->key, $next->items[0]->amount, $next->next]);
        self::assertEquals($payment, $engine->removeWaitingPayment('one'));
        $this->expectException(NotFound::class);
        $engine->removeWaitingPayment('one');
    }
}
