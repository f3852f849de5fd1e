<?php

declare(strict_types=1);

use App\Http\Controllers\HoldController;
use App\Http\Controllers\OrderController;
use App\Http\Controllers\PaymentController;
use App\Http\Controllers\ProductController;
use Illuminate\Support\Facades\Route;

Route::get('products/{product}', ProductController::class);
Route::post('holds/{product}/{quantity}', HoldController::class);
Route::post('orders/{hold}/{product}', OrderController::class);
Route::post('payments/webhook', PaymentController::class);
