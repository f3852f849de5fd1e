<?php

declare(strict_types=1);

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\Schema;

return new class () extends Migration {
    public function up(): void
    {
        Schema::create('products', static function (Blueprint $table): void {
            $table->id();
            $table->string('name');
            $table->decimal('price', 10, 2);
            $table->unsignedInteger('stock');
        });
        Schema::create('holds', static function (Blueprint $table): void {
            $table->id();
            $table->foreignId('product_id')->constrained();
            $table->unsignedInteger('quantity');
            $table->string('status', 16);
            $table->dateTime('expires_at');
            $table->index(['status', 'expires_at']);
        });
        Schema::create('orders', static function (Blueprint $table): void {
            $table->id();
            $table->foreignId('hold_id')->unique()->constrained();
            $table->string('status', 16);
            $table->timestamps(6);
        });
        Schema::create('payment_events', static function (Blueprint $table): void {
            $table->string('idempotency_key', 128)->primary();
            $table->unsignedBigInteger('order_id')->index();
            $table->string('status', 16);
            $table->boolean('applied');
        });
    }

    public function down(): void
    {
        array_map(Schema::dropIfExists(...), ['payment_events', 'orders', 'holds', 'products']);
    }
};
