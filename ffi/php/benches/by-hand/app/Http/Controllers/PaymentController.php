<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\DB;

final class PaymentController
{
    public function __invoke(Request $request): JsonResponse
    {
        $event = $request->validate([
            'status' => 'required|in:success,failed',
            'order_id' => 'required|integer|min:1',
            'idempotency_key' => 'required|string|max:128',
        ]);
        DB::transaction(static function () use ($event): void {
            // The key's row is the first write: of two at once, one waits and finds it.
            $isNew = DB::table('payment_events')->insertOrIgnore($event + ['applied' => false]) === 1;
            if ($isNew) {
                self::apply((int) $event['order_id'], $event['status'], $event['idempotency_key']);
            }
        });
        return new JsonResponse(['message' => 'ok']);
    }

    /** Applies an event whose order is there; one that comes early stays for it. */
    public static function apply(int $orderId, string $status, string $key): void
    {
        $order = DB::table('orders')->where('id', $orderId)->lockForUpdate()->first();
        if ($order === null) {
            return;
        }
        DB::table('payment_events')->where('idempotency_key', $key)->update(['applied' => true]);
        if ($order->status !== 'pending_payment') {
            return;
        }
        $isPaid = $status === 'success';
        DB::table('orders')->where('id', $orderId)
            ->update(['status' => $isPaid ? 'paid' : 'cancelled', 'updated_at' => now()]);
        if (!$isPaid) {
            $hold = DB::table('holds')->find($order->hold_id);
            DB::table('products')->where('id', $hold->product_id)->increment('stock', $hold->quantity);
            DB::afterCommit(static fn (): bool => Cache::forget("product:{$hold->product_id}"));
        }
    }
}
