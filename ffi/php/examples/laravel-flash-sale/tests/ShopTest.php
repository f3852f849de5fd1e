<?php

declare(strict_types=1);

namespace Tests;

use Illuminate\Foundation\Testing\TestCase;
use Illuminate\Support\Facades\Log;
use Stockade\Laravel\Facades\Stockade;
use Stockade\Laravel\Events\PaymentReceived;
use Stockade\Testing\FakeClient;
use Stockade\Testing\Make;

final class ShopTest extends TestCase
{
    private FakeClient $stock;

    protected function setUp(): void
    {
        parent::setUp();
        $this->stock = Stockade::fake();
        $this->stock->put(Make::product(id: 1, price: '19.99', stock: 4));
    }

    public function testAProductShowsPriceAndStock(): void
    {
        $this->get('/api/products/1')->assertOk()->assertExactJson(['id' => 1, 'price' => 19.99, 'stock' => 4]);
        $this->get('/api/products/2')->assertNotFound()->assertJson(['success' => false, 'code' => 'not_found']);
    }

    public function testABuyerHoldsOrdersAndPays(): void
    {
        $hold = $this->post('/api/holds/1/2')->assertOk()
            ->assertJsonStructure(['message', 'success', 'hold' => ['id', 'qty', 'expires_at']])->json('hold');
        $order = $this->post("/api/orders/{$hold['id']}/1")->assertOk()
            ->assertJsonPath('order.status', 'pending_payment')->json('order');
        $paid = ['order_id' => $order['id'], 'status' => 'success', 'idempotency_key' => 'evt-1'];
        $this->postJson('/api/payments/webhook', $paid)->assertOk()->assertJsonPath('message', 'ok');
        $this->stock->assertHeld(1, 2);
        $this->stock->assertOrdered($hold['id']);
        $this->stock->assertPaymentRecorded('success');
    }

    public function testARefusalIsAProblemWithWhatIsLeft(): void
    {
        $this->stock->answer('createHold', Make::error('insufficient_stock', available: 1));
        $this->post('/api/holds/1/2')->assertConflict()
            ->assertHeader('Content-Type', 'application/problem+json')
            ->assertJson(['success' => false, 'code' => 'insufficient_stock', 'available' => 1]);
        $this->stock->assertNothingHeld();
    }

    public function testABuyerIsToldOfThePayment(): void
    {
        Log::spy();
        event(new PaymentReceived(Make::event(kind: 'order.paid', orderId: 7)));
        Log::shouldHaveReceived('info')->once()->withArgs(static fn (string $text): bool
            => $text === 'order 7 is paid');
    }
}
