<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Contracts\Cache\LockTimeoutException;
use Illuminate\Http\JsonResponse;
use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\DB;

final class HoldController
{
    public function __invoke(string $product, string $quantity): JsonResponse
    {
        abort_unless(ctype_digit($product) && ctype_digit($quantity) && (int) $quantity > 0, 422);
        $end = now()->addSeconds(config('sale.hold_ttl'))->startOfSecond();
        try {
            $id = Cache::lock("lock:product:{$product}", 5)
                ->betweenBlockedAttemptsSleepFor(config('sale.lock_poll_ms'))
                ->block(10, static fn (): int => DB::transaction(static function () use ($product, $quantity, $end) {
                    $row = DB::table('products')->where('id', $product)->lockForUpdate()->first();
                    abort_if($row === null, 404);
                    abort_if($row->stock < (int) $quantity, 409, 'not enough stock');
                    DB::table('products')->where('id', $product)->decrement('stock', (int) $quantity);
                    return DB::table('holds')->insertGetId([
                        'product_id' => $product,
                        'quantity' => $quantity,
                        'status' => 'active',
                        'expires_at' => $end,
                    ]);
                }));
        } catch (LockTimeoutException) {
            abort(503);
        }
        Cache::forget("product:{$product}");
        return new JsonResponse([
            'message' => 'Holded Successfully',
            'success' => true,
            'hold' => ['id' => $id, 'qty' => (int) $quantity, 'expires_at' => $end->format('Y-m-d\TH:i:s\Z')],
        ]);
    }
}
