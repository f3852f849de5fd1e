<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Illuminate\Support\Facades\DB;

final class OrderController
{
    public function __invoke(string $hold, string $product): JsonResponse
    {
        $order = DB::transaction(static function () use ($hold, $product): array {
            $row = DB::table('holds')->where('id', $hold)->lockForUpdate()->first();
            abort_if($row === null || (string) $row->product_id !== $product, 404);
            abort_if($row->status === 'converted', 409, 'the hold was already used');
            abort_if($row->status === 'expired' || $row->expires_at <= now(), 422, 'the hold has expired');
            DB::table('holds')->where('id', $hold)->update(['status' => 'converted']);
            $now = now();
            $order = ['status' => 'pending_payment', 'hold_id' => (int) $hold];
            $order += ['updated_at' => $now, 'created_at' => $now];
            $order['id'] = DB::table('orders')->insertGetId($order);
            // A payment that was there before the order.
            $early = DB::table('payment_events')->where('order_id', $order['id'])->where('applied', false)->get();
            foreach ($early as $event) {
                PaymentController::apply($order['id'], $event->status, $event->idempotency_key);
            }
            return $order;
        });
        $order['updated_at'] = $order['created_at'] = $order['created_at']->format('Y-m-d\TH:i:s.u\Z');
        return new JsonResponse(['message' => 'order created successfully', 'success' => true, 'order' => $order]);
    }
}
