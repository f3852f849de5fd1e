<?php

declare(strict_types=1);

namespace App\Listeners;

use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Log\LogManager;
use Stockade\Laravel\Events\OrderCancelled;
use Stockade\Laravel\Events\PaymentNeedsRefund;
use Stockade\Laravel\Events\PaymentReceived;

/**
 * Tells the buyer what became of an order: a job of its own for each event, which the
 * queue repeats until it works. A shop sends mail here; the cursor keys it, so that an
 * event that comes twice notifies once.
 */
final class NotifyBuyer implements ShouldQueue
{
    public int $tries = 5;

    public function __construct(private readonly LogManager $log)
    {
    }

    public function handle(OrderCancelled|PaymentNeedsRefund|PaymentReceived $message): void
    {
        $what = match (true) {
            $message instanceof PaymentReceived => 'is paid',
            $message instanceof OrderCancelled => 'was cancelled',
            $message instanceof PaymentNeedsRefund => 'gets its money back',
        };
        $this->log->info("order {$message->event->orderId} {$what}", ['event' => $message->event->cursor]);
    }
}
