<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use Illuminate\Testing\TestResponse;
use Stockade\OrderStatus;
use Stockade\Webhook;

/** The routes of payment events. */
final class WebhookTest extends EngineCase
{
    private const PROVIDER_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

    protected function environment(): array
    {
        // The server's own port; it serves its machine alone.
        return ['STOCKADE_WEBHOOK_FORWARD_TO' => 'http://' . substr((string) strrchr($this->engine->tcp, '@'), 1)];
    }

    protected function engineSettings(): array
    {
        return ['standard_webhooks_secret' => self::PROVIDER_SECRET];
    }

    public function testOnlySignedEventsCount(): void
    {
        $order = $this->order();
        $body = (string) json_encode(['status' => 'success', 'order_id' => $order, 'idempotency_key' => 'a']);
        $this->deliver($body, null)->assertUnauthorized()->assertJsonPath('code', 'unauthorized');
        $this->deliver($body, Webhook::sign($body, 'another secret'))->assertUnauthorized();
        $this->deliver($body, Webhook::sign($body . ' ', 'new-secret'))->assertUnauthorized();
        $this->deliver($body, Webhook::sign($body, 'new-secret', time() - 301))->assertUnauthorized();
        self::assertSame(OrderStatus::PendingPayment, $this->client()->order($order)->status);

        $this->deliver($body, Webhook::sign($body, 'old-secret'))->assertOk()
            ->assertExactJson(['message' => 'ok', 'result' => 'applied']);
        $this->deliver($body, Webhook::sign($body, 'new-secret'))->assertOk()
            ->assertHeader('Idempotent-Replayed', 'true')->assertJsonPath('result', 'repeated');
        self::assertSame(OrderStatus::Paid, $this->client()->order($order)->status);
    }

    public function testWithoutASecretNothingIsAcceptedUnlessUnsignedOnesAreAllowed(): void
    {
        config(['stockade.webhook.secret' => '']);
        $body = (string) json_encode(['status' => 'success', 'order_id' => $this->order(), 'idempotency_key' => 'a']);
        $this->deliver($body, null)->assertUnauthorized();
        $this->deliver($body, Webhook::sign($body, 'new-secret'))->assertUnauthorized();
        config(['stockade.webhook.unsigned' => true]);
        $this->deliver($body, null)->assertOk();
        config(['stockade.webhook.secret' => 'new-secret']);
        $this->deliver($body, null)->assertUnauthorized();
    }

    public function testTheAnswersAreThoseOfTheServer(): void
    {
        $order = $this->order();
        $cases = [
            [['status' => 'success', 'order_id' => $order + 50], 202, 'waiting'],
            [['status' => 'paid', 'order_id' => "{$order}", 'amount' => 20.00, 'currency' => 'EUR'], 200, 'applied'],
            [['status' => 'failed', 'order_id' => $order], 200, 'recorded'],
            [['status' => 'perhaps', 'order_id' => $order], 422, null],
            [['order_id' => $order], 422, null],
            [['status' => 'success'], 422, null],
            [['status' => 'success', 'order_id' => -1], 422, null],
            [['status' => ['success'], 'order_id' => $order], 422, null],
            [['status' => 'success', 'order_id' => 1.5], 422, null],
        ];
        foreach ($cases as [$event, $status, $result]) {
            $body = (string) json_encode($event, JSON_PRESERVE_ZERO_FRACTION);
            $answer = $this->deliver($body, Webhook::sign($body, 'new-secret'));
            self::assertSame($status, $answer->status(), $body . $answer->getContent());
            self::assertSame($result, $answer->json('result'), $body);
        }
        foreach (['[]', 'x', '"success"'] as $body) {
            $this->deliver($body, Webhook::sign($body, 'new-secret'))->assertStatus(422);
        }
    }

    public function testAKeyMayComeAsAHeader(): void
    {
        $order = $this->order();
        $body = (string) json_encode(['status' => 'success', 'order_id' => $order]);
        $server = ['HTTP_IDEMPOTENCY_KEY' => 'by-header'];
        $this->deliver($body, Webhook::sign($body, 'new-secret'), $server)->assertJsonPath('result', 'applied');
        $other = (string) json_encode(['status' => 'failed', 'order_id' => $order]);
        $this->deliver($other, Webhook::sign($other, 'new-secret'), $server)->assertStatus(422)
            ->assertJsonPath('code', 'idempotency_mismatch');
    }

    public function testAProvidersWebhookIsPassedOnAsItCame(): void
    {
        $order = $this->order();
        $token = self::$token;
        $event = '{"type": "payment.succeeded",  "data": ' . json_encode([
            'payment_token' => $token,
            'order_id' => $order,
        ]) . '}';
        $answer = $this->deliverSigned($event);
        self::assertSame(200, $answer->status(), (string) $answer->getContent());
        self::assertSame(OrderStatus::Paid, $this->client()->order($order)->status);
        $this->deliverSigned($event, 'bad')->assertUnauthorized();
        $this->call('POST', '/stockade/webhook/nobody', content: '{}')->assertNotFound();
    }

    private static string $token;

    private function order(): int
    {
        $lamp = $this->client()->createProduct('Lamp', '10', 5);
        $order = $this->client()->createOrder($this->client()->createHold($lamp->id, 2)->id, $lamp->id);
        self::$token = $order->paymentToken;
        return $order->id;
    }

    /** @param array<string, string> $server */
    private function deliver(string $body, ?string $signature, array $server = []): TestResponse
    {
        $server += ['CONTENT_TYPE' => 'application/json'];
        if ($signature !== null) {
            $server['HTTP_STOCKADE_SIGNATURE'] = $signature;
        }
        return $this->call('POST', '/stockade/webhook', server: $server, content: $body);
    }

    /** As Standard Webhooks sign. */
    private function deliverSigned(string $body, ?string $signature = null): TestResponse
    {
        [$id, $time] = ['msg_1', (string) time()];
        $key = base64_decode(substr(self::PROVIDER_SECRET, 6));
        $signature ??= 'v1,' . base64_encode(hash_hmac('sha256', "{$id}.{$time}.{$body}", $key, true));
        return $this->call('POST', '/stockade/webhook/standard', server: [
            'CONTENT_TYPE' => 'application/json',
            'HTTP_WEBHOOK_ID' => $id,
            'HTTP_WEBHOOK_TIMESTAMP' => $time,
            'HTTP_WEBHOOK_SIGNATURE' => $signature,
            'HTTP_X_FORWARDED_FOR' => '203.0.113.9',
            'HTTP_COOKIE' => 'session=1',
        ], content: $body);
    }
}
