<?php

declare(strict_types=1);

namespace App\Jobs;

use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Queue\Queueable;
use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\DB;

final class ExpireHolds implements ShouldQueue
{
    use Queueable;

    public function handle(): void
    {
        $due = DB::table('holds')->where('status', 'active')->where('expires_at', '<=', now())->limit(1000)->get();
        foreach ($due as $hold) {
            DB::transaction(static function () use ($hold): void {
                DB::table('products')->where('id', $hold->product_id)->lockForUpdate()->first();
                $isMine = DB::table('holds')->where('id', $hold->id)->where('status', 'active')
                    ->update(['status' => 'expired']) === 1;
                if ($isMine) {
                    DB::table('products')->where('id', $hold->product_id)->increment('stock', $hold->quantity);
                }
            });
            Cache::forget("product:{$hold->product_id}");
        }
    }
}
