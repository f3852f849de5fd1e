<?php

declare(strict_types=1);

namespace Stockade\Laravel\Http;

use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Stockade\Client;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\StockadeException;
use Stockade\PaymentStatus;

/** Applies a payment event that the shop or its provider sends as JSON. */
final class WebhookController
{
    private const FIELDS = [
        'status', 'order_id', 'payment_token', 'idempotency_key', 'amount', 'currency', 'payment_reference',
        'order_reference',
    ];

    /** @throws StockadeException invalid_argument, idempotency_mismatch, contention, unavailable */
    public function __invoke(Request $request, Client $client): JsonResponse
    {
        $event = self::read($request);
        // As if they did not exist: the first that is there counts.
        $key = $event['idempotency_key'] ?? $request->headers->get('Idempotency-Key')
            ?? $request->server->get('HTTP_IDEMPOTENCY_KEY');
        $receipt = $client->recordPayment(
            $event['status'] ?? '',
            $event['order_id'] ?? null,
            $event['payment_token'] ?? null,
            $key,
            $event['amount'] ?? null,
            $event['currency'] ?? null,
            $event['payment_reference'] ?? null,
            $event['order_reference'] ?? null,
        );
        $result = $receipt->replayed ? 'repeated' : $receipt->status->value;
        return new JsonResponse(
            ['message' => 'ok', 'result' => $result],
            $receipt->status === PaymentStatus::Waiting ? 202 : 200,
            $receipt->replayed ? ['Idempotent-Replayed' => 'true'] : []
        );
    }

    /** @return array<string, int|string> the fields that are there; others are the provider's own */
    private static function read(Request $request): array
    {
        $body = json_decode($request->getContent(), true, 32, JSON_BIGINT_AS_STRING);
        if (!is_array($body) || array_is_list($body)) {
            throw InvalidArgument::because('the body must be a JSON object');
        }
        $event = [];
        foreach (self::FIELDS as $name) {
            $value = $body[$name] ?? null;
            if ($value === null) {
                continue;
            }
            // A number with a fraction as it was written: an amount is exact.
            $value = is_float($value) ? (string) json_encode($value) : $value;
            $isOfType = is_string($value) || (is_int($value) && in_array($name, ['order_id', 'amount'], true));
            if (!$isOfType) {
                throw InvalidArgument::because("{$name} has another type");
            }
            $event[$name] = $value;
        }
        return $event;
    }
}
