<?php

declare(strict_types=1);

namespace Lumen\KlaviyoHeaders\Subscriber;

use Shopware\Core\Checkout\Order\OrderEntity;
use Shopware\Storefront\Page\Checkout\Finish\CheckoutFinishPageLoadedEvent;
use Shopware\Storefront\Page\Product\ProductPageLoadedEvent;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpKernel\Event\ResponseEvent;
use Symfony\Component\HttpKernel\KernelEvents;

/**
 * What a page is about is known when it is loaded; the headers are set when
 * its answer is there.
 */
class Headers implements EventSubscriberInterface
{
    /** bytes: what nginx's buffer has room for */
    private const MAX = 12288;

    /** @var array<string, string> */
    private array $headers = [];

    public static function getSubscribedEvents(): array
    {
        return [
            ProductPageLoadedEvent::class        => 'product',
            CheckoutFinishPageLoadedEvent::class => 'order',
            KernelEvents::RESPONSE               => 'response',
        ];
    }

    public function product(ProductPageLoadedEvent $event): void
    {
        $product = $event->getPage()->getProduct();
        $price = $product->getCalculatedPrice()->getUnitPrice();

        $this->headers = [
            'X-Product-ID'    => $product->getProductNumber(),
            'X-Product-Name'  => rawurlencode(
                (string) $product->getTranslation('name')),
            'X-Product-Price' => (string) $price,
        ];
    }

    /** told again with the same ids when the page is loaded again */
    public function order(CheckoutFinishPageLoadedEvent $event): void
    {
        $events = $this->events($event->getPage()->getOrder(),
            $event->getSalesChannelContext()->getCurrency()->getIsoCode());

        $json = json_encode($events);

        if ($json !== false && strlen($json) < self::MAX) {
            $this->headers = ['X-Klaviyo-Event' => $json];
        }
    }

    public function response(ResponseEvent $event): void
    {
        if (!$event->isMainRequest()) {
            return;
        }

        foreach ($this->headers as $name => $value) {
            $event->getResponse()->headers->set($name, $value);
        }

        $this->headers = [];
    }

    private function events(OrderEntity $order, string $currency): array
    {
        $number = (string) $order->getOrderNumber();
        $customer = $order->getOrderCustomer();
        $profile = $customer === null ? [] : array_filter([
            'email'      => $customer->getEmail(),
            'first_name' => $customer->getFirstName(),
            'last_name'  => $customer->getLastName(),
        ]);

        $items = [];

        foreach ($order->getLineItems() ?? [] as $item) {
            if ($item->getType() !== 'product') {
                continue;
            }

            $items[] = [
                'ProductID'   => (string) ($item->getPayload()['productNumber']
                    ?? $item->getReferencedId()),
                'ProductName' => $item->getLabel(),
                'Quantity'    => $item->getQuantity(),
                'ItemPrice'   => $item->getUnitPrice(),
                'RowTotal'    => $item->getTotalPrice(),
            ];
        }

        $events = [[
            'metric'         => 'Placed Order',
            'unique_id'      => $number,
            'value'          => $order->getAmountTotal(),
            'value_currency' => $currency,
            'profile'        => $profile,
            'properties'     => [
                'OrderId'   => $number,
                'ItemNames' => array_column($items, 'ProductName'),
                'Items'     => $items,
            ],
        ]];

        foreach ($items as $n => $item) {
            $events[] = [
                'metric'         => 'Ordered Product',
                'unique_id'      => $number . '_' . $n,
                'value'          => $item['RowTotal'],
                'value_currency' => $currency,
                'profile'        => $profile,
                'properties'     => ['OrderId' => $number] + $item,
            ];
        }

        return $events;
    }
}
