<?php

declare(strict_types=1);

namespace Stockade\Laravel\Http;

use Illuminate\Contracts\Config\Repository;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Stockade\Exception\StockadeException;
use Stockade\OffSale;
use Stockade\ShortLine;
use Stockade\UnusableHold;

/** Renders the exception of a call as the server does: a problem document (RFC 9457) with its status. */
final class Problem
{
    private const MOMENT = 'Y-m-d\TH:i:s\Z';
    private const STATUS = [
        'invalid_argument' => 422,
        'quantity_limit' => 422,
        'not_found' => 404,
        'product_mismatch' => 404,
        'insufficient_stock' => 409,
        'hold_expired' => 422,
        'hold_already_used' => 409,
        'idempotency_mismatch' => 422,
        'contention' => 503,
        'unavailable' => 503,
        'unauthorized' => 401,
        'version_mismatch' => 412,
        'already_exists' => 409,
        'not_on_sale' => 409,
        'already_paid' => 409,
        'order_cancelled' => 409,
        'not_paid' => 409,
        'refund_too_large' => 409,
        'nothing_returned' => 409,
    ];

    private function __construct()
    {
    }

    /** For Laravel's exception handler: null where the application's own page is to be shown. */
    public static function render(StockadeException $error, Request $request, Repository $config): ?JsonResponse
    {
        $isWanted = $config->get('stockade.render_errors', true)
            && ($request->expectsJson() || $request->is('api/*') || $request->routeIs('stockade.*'));
        return $isWanted ? self::of($error) : null;
    }

    public static function of(StockadeException $error): JsonResponse
    {
        $status = self::STATUS[$error->error] ?? 500;
        // What went wrong inside, and where the engine is, is for the log.
        $message = match (true) {
            $status === 500 => 'internal error',
            $error->error === 'unavailable' => 'stock cannot be reached now; try again later',
            default => $error->getMessage(),
        };
        $body = [
            'type' => "urn:stockade:error:{$error->error}",
            'title' => ucfirst(strtr($error->error, '_', ' ')),
            'status' => $status,
            'detail' => $message,
            'success' => false,
            'message' => $message,
            'code' => $error->error,
        ];
        $headers = ['Content-Type' => 'application/problem+json'];
        if ($status === 503) {
            $headers['Retry-After'] = (string) max(1, (int) ceil($error->retryAfter ?? 1.0));
        }
        if ($error->replayed) {
            $headers['Idempotent-Replayed'] = 'true';
        }
        return new JsonResponse($body + self::details($error), $status, $headers);
    }

    /** @return array<string, mixed> */
    private static function details(StockadeException $error): array
    {
        $isThere = static fn (mixed $value): bool => $value !== null && $value !== [];
        return array_filter([
            'available' => $error->available,
            'short' => array_map(static fn (ShortLine $line): array => array_filter([
                'product_id' => $line->productId,
                'sku' => $line->sku,
                'requested' => $line->requested,
                'available' => $line->available,
            ], $isThere), $error->short),
            'order_id' => $error->orderId,
            'holds' => array_map(static fn (UnusableHold $hold): array => array_filter([
                'hold_id' => $hold->holdId,
                'code' => $hold->code,
                'order_id' => $hold->orderId,
            ], $isThere), $error->holds),
            // The product that has the name already, or that is not for sale.
            $error->offSale === null ? 'id' : 'product_id' => $error->productId,
            'on_sale_from' => $error->offSale === OffSale::Before ? $error->moment?->format(self::MOMENT) : null,
            'on_sale_until' => $error->offSale === OffSale::Since ? $error->moment?->format(self::MOMENT) : null,
            'archived' => $error->offSale === OffSale::Archived ? true : null,
        ], $isThere);
    }
}
